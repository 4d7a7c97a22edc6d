//! The version of the running kernel, remembered.
//!
//! A version proves less than what the kernel itself has: vendors backport. It decides only where
//! two versions have the same functions and use them differently.

use core::sync::atomic::Ordering;

use super::LEARNT;
use super::release::release;
use crate::resolve::version::{LATEST, Version};

/// The running kernel's version; the latest if it cannot be read.
pub(crate) fn version() -> Version {
    // Each test has another kernel.
    #[cfg(test)]
    if crate::sys::fake::is_there() {
        return release().unwrap_or(LATEST);
    }
    const MINOR_BITS: u32 = 16;
    let known = LEARNT.version.load(Ordering::Relaxed);
    if known != 0 {
        return ((known >> MINOR_BITS).into(), (known & ((1 << MINOR_BITS) - 1)).into());
    }
    let Some(version @ (major, minor)) = release() else {
        return LATEST;
    };
    if let (Ok(major), Ok(minor)) = (u16::try_from(major), u16::try_from(minor)) {
        LEARNT.version.store(u32::from(major) << MINOR_BITS | u32::from(minor), Ordering::Relaxed);
    }
    version
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fake::Kernel;

    #[test]
    fn a_version_that_cannot_be_read_is_the_latest() {
        let files = &[("/proc/sys/kernel/osrelease", "4.18.0-147.el8.x86_64\n")];
        assert_eq!(Kernel { files, ..Kernel::new() }.run(version).0, (4, 18));
        assert_eq!(Kernel { files: &[], ..Kernel::new() }.run(version).0, LATEST);
    }

    #[test]
    fn this_machines_version_is_read_once() {
        assert_eq!(Some(version()), release());
        assert_eq!(Some(version()), release());
        let known = LEARNT.version.load(Ordering::Relaxed);
        assert_eq!(Some((u64::from(known >> 16), u64::from(known & 0xffff))), release());
    }
}
