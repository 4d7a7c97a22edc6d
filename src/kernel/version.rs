//! Reads the version of the running kernel, and remembers it.
//!
//! A version proves less than what the kernel itself has, for vendors backport. It decides only
//! where the kernel shows nothing else.

use super::LEARNT;
use crate::calls::version::Version;
use crate::sys::{self, Mode};
use crate::text::{cut, number};

/// Major and minor number; None if /proc/sys/kernel/osrelease cannot be read.
pub(crate) fn version() -> Option<Version> {
    // Each test has another kernel.
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

/// Whether the kernel reports that version or a later one.
pub(crate) fn is_at_least(major: u64, minor: u64) -> bool {
    version() >= Some((major, minor))
}

fn read() -> Option<Version> {
    let mut version = None;
    let file = sys::open(c"/proc/sys/kernel/osrelease", Mode::Read).ok()?;
    let _ = sys::for_each_line(&file, &mut |line| {
        let (major, rest) = cut(line, b'.');
        let minor = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        version = number(major, 10).zip(number(rest.get(..minor).unwrap_or_default(), 10));
        true
    });
    version
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
    fn this_machines_version_is_read_once() {
        assert_eq!(version(), read());
        assert_eq!(version(), read());
        assert!(LEARNT.version.get().is_some());
    }
}
