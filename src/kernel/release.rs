//! The running kernel's version, for what it does not say otherwise.

use core::ffi::CStr;

use crate::sys::{self, Mode};
use crate::text::{cut, number};

/// Whether the kernel says that it is of that version or a later one. Vendors' kernels may have
/// what their version does not promise.
pub(crate) fn is_at_least(major: u64, minor: u64) -> bool {
    let mut is_at_least = false;
    first_line(c"/proc/sys/kernel/osrelease", &mut |release| {
        let (its_major, rest) = cut(release, b'.');
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let its_minor = rest.get(..digits).unwrap_or_default();
        is_at_least = (number(its_major, 10), number(its_minor, 10)) >= (Some(major), Some(minor));
    });
    is_at_least
}

/// Reads the first line of a file, if that can be read.
pub(super) fn first_line(path: &CStr, read: &mut dyn FnMut(&[u8])) {
    if let Ok(file) = sys::open(path, Mode::Read) {
        _ = sys::for_each_line(&file, &mut |line| {
            read(line);
            true
        });
    }
}
