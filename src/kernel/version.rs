//! Reads the version of the running kernel, and remembers it.
//!
//! Vendors backport features, so a version proves less than a test of the feature. The version is
//! therefore used only if the feature itself cannot be tested.

use super::LEARNT;
use crate::calls::version::{Version, parse};
use crate::sys;
use crate::text::{cut, number, parts};

/// Returns the major and minor numbers, or None if /proc/sys/kernel/osrelease cannot be read.
pub(crate) fn version() -> Option<Version> {
    // Each test simulates a different kernel, so do not cache the version.
    #[cfg(test)]
    if crate::sys::fake::is_there() {
        return read();
    }
    const MINOR_BITS: u32 = 12;
    if let Some(known) = LEARNT.version.get() {
        return Some(((known >> MINOR_BITS) as u64, (known & ((1 << MINOR_BITS) - 1)) as u64));
    }
    let version @ (major, minor) = read()?;
    if major < 1 << MINOR_BITS && minor < 1 << MINOR_BITS {
        LEARNT.version.set((major as usize) << MINOR_BITS | minor as usize);
    }
    Some(version)
}

/// Returns the number of the stable update, such as 97 for 6.1.97, or None if the number is
/// unknown.
///
/// The kernel's release string does not always contain this number: Ubuntu, and Debian up to
/// version 12, use a release string such as 6.1.0 for every update. Debian shows the number in the
/// kernel's version string ("Debian 6.1.176-1"), and Ubuntu shows it in /proc/version_signature.
pub(crate) fn update() -> Option<u64> {
    let files =
        [c"/proc/sys/kernel/osrelease", c"/proc/version_signature", c"/proc/sys/kernel/version"];
    files.into_iter().find_map(|path| {
        let line = sys::first_line(path);
        parts(line.as_bytes(), b' ').find_map(|word| update_in(word, version()?))
    })
}

/// Returns the update number, such as 97, if `word` begins with a number such as 6.1.97 that
/// matches `version`. An update number of 0 counts only at the end of the word, because vendors use
/// names such as 6.1.0-50 for later updates.
fn update_in(word: &[u8], version: Version) -> Option<u64> {
    let is_number = |byte: &&u8| byte.is_ascii_digit() || **byte == b'.';
    let len = word.iter().take_while(is_number).count();
    let (numbers, after) = word.split_at_checked(len)?;
    let (series, update) = parse(numbers);
    (series == version && (update > 0 || after.is_empty())).then_some(update)
}

/// Returns whether the kernel is known to have at least this version.
pub(crate) fn is_at_least(major: u64, minor: u64) -> bool {
    version() >= Some((major, minor))
}

fn read() -> Option<Version> {
    let line = sys::first_line(c"/proc/sys/kernel/osrelease");
    let (major, rest) = cut(line.as_bytes(), b'.');
    let minor = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    number(major, 10).zip(number(rest.get(..minor).unwrap_or_default(), 10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fake::Kernel;

    #[test]
    fn a_version_begins_with_two_numbers() {
        for (text, expected) in [
            ("6.12.117+deb13-cloud-amd64\n", Some((6, 12))),
            ("4.18.0-147.el8.x86_64\n", Some((4, 18))),
            ("4.4\n", Some((4, 4))),
            ("7.0-rc1\n", Some((7, 0))),
            ("6\n", None),
            ("\n", None),
        ] {
            let files = vec![("/proc/sys/kernel/osrelease", text)].leak();
            assert_eq!(Kernel { files, ..Kernel::new() }.run(version).0, expected, "{text}");
        }
        assert_eq!(Kernel::new().run(version).0, None, "without /proc");
    }

    #[test]
    fn stable_updates_are_read_from_the_release_or_vendor_files() {
        const DEBIAN: &str = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-07-01)\n";
        for (release, version, signature, expected) in [
            ("6.12.117+deb13-cloud-amd64\n", "#1 SMP Debian 6.12.117-1\n", None, Some(117)),
            ("5.15.135\n", "#1 SMP\n", None, Some(135)),
            ("6.1.0\n", "#1 SMP\n", None, Some(0)),
            ("6.1.0-50-cloud-amd64\n", DEBIAN, None, Some(176)),
            // The vendor's string describes a different version.
            ("5.10.0-50-cloud-amd64\n", DEBIAN, None, None),
            (
                "5.15.0-100-generic\n",
                "#110-Ubuntu SMP\n",
                Some("Ubuntu 5.15.0-100.110-generic 5.15.143\n"),
                Some(143),
            ),
            ("5.14.0-427.el9.x86_64\n", "#1 SMP PREEMPT_DYNAMIC Fri\n", None, None),
            ("6.1-rc3\n", "#1 SMP\n", None, None),
        ] {
            let mut files = vec![
                ("/proc/sys/kernel/osrelease", release),
                ("/proc/sys/kernel/version", version),
            ];
            files.extend(signature.map(|text| ("/proc/version_signature", text)));
            let kernel = Kernel { files: files.leak(), ..Kernel::new() };
            assert_eq!(kernel.run(update).0, expected, "{release}");
        }
    }

    #[test]
    fn this_machines_version_is_read_once() {
        assert_eq!(version(), read());
        assert_eq!(version(), read());
        assert!(LEARNT.version.get().is_some());
    }
}
