//! The running kernel's version.

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
