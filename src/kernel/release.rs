//! The running kernel's version, for what it does not show otherwise.

use crate::sys::{self, Mode};
use crate::text::{cut, number};

/// Major and minor number, as `/proc/sys/kernel/osrelease` has them; None if that cannot be read.
pub(crate) fn release() -> Option<(u64, u64)> {
    let mut release = None;
    let file = sys::open(c"/proc/sys/kernel/osrelease", Mode::Read).ok()?;
    let _ = sys::for_each_line(&file, &mut |line| {
        let (major, rest) = cut(line, b'.');
        let minor = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        release = number(major, 10).zip(number(rest.get(..minor).unwrap_or_default(), 10));
        true
    });
    release
}

/// Whether the kernel reports that version or a later one. A vendor's kernel may have what its
/// version does not promise.
pub(crate) fn is_at_least(major: u64, minor: u64) -> bool {
    release() >= Some((major, minor))
}

#[cfg(test)]
mod tests {
    use crate::sys::fake::Kernel;

    #[test]
    fn a_release_begins_with_two_numbers() {
        for (text, expected) in [
            ("6.12.117+deb13-cloud-amd64\n", Some((6, 12))),
            ("4.4\n", Some((4, 4))),
            ("7.0-rc1\n", Some((7, 0))),
            ("6\n", None),
            ("\n", None),
        ] {
            let files = vec![("/proc/sys/kernel/osrelease", text)].leak();
            let (read, _) = Kernel { files, ..Kernel::new() }.run(super::release);
            assert_eq!(read, expected, "{text}");
        }
        assert_eq!(Kernel::new().run(super::release).0, None, "without /proc");
    }
}
