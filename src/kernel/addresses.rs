//! Where the kernel has its functions of system calls: one of a call without arguments has
//! two names on x86_64, `__x64_sys_getpid` and `__ia32_sys_getpid` (`__SYS_STUB0` of
//! arch/x86/include/asm/syscall_wrapper.h), and a probe on each would run twice.

use alloc::vec::Vec;
use core::ffi::CStr;

use errno::Errno;

use super::symbols::{for_each_marked_line, of_a_call};
use crate::resolve::Symbol;
use crate::text::{cut, parts};

/// Symbols and their addresses. They are not sorted: few are ever looked up.
#[derive(Debug)]
pub(crate) struct Addresses(Vec<(Symbol, u64)>);

impl Addresses {
    /// Those of the running kernel.
    ///
    /// # Errors
    /// What reading /proc/kallsyms fails with; EPERM if it shows no addresses, which takes
    /// `CAP_SYSLOG` (`kallsyms_show_value()` of kernel/ksyms_common.c); ENOMEM.
    pub(crate) fn read() -> Result<Self, Errno> {
        Self::of(c"/proc/kallsyms")
    }

    fn of(path: &CStr) -> Result<Self, Errno> {
        let mut addresses = Vec::new();
        let (mut has_room, mut is_shown) = (true, false);
        for_each_marked_line(path, &mut |line| {
            let mut fields = parts(line, b' ');
            let (digits, name) = (fields.next().unwrap_or_default(), fields.nth(1));
            let name = name.filter(|_| !line.ends_with(b"]"));
            if let (Some(symbol), Some(address)) = (name.and_then(of_a_call), address(digits)) {
                is_shown |= address != 0;
                has_room = has_room && addresses.try_reserve(1).is_ok();
                if has_room {
                    addresses.push((symbol, address));
                }
            }
        })?;
        if !has_room {
            return Err(Errno(libc::ENOMEM));
        }
        if !is_shown {
            return Err(Errno(libc::EPERM));
        }
        Ok(Self(addresses))
    }

    /// Whether the two symbols are names of one function.
    ///
    /// # Errors
    /// ENODATA if one of them is not there, or without an address.
    pub(crate) fn are_one(&self, one: &Symbol, other: &Symbol) -> Result<bool, Errno> {
        let address = |symbol: &Symbol| {
            let found = self.0.iter().find(|(name, _)| name.as_bytes() == symbol.as_bytes());
            let address = found.map_or(0, |(_, address)| *address);
            if address == 0 { Err(Errno(libc::ENODATA)) } else { Ok(address) }
        };
        Ok(address(one)? == address(other)?)
    }
}

fn address(digits: &[u8]) -> Option<u64> {
    u64::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()
}

/// Whether the symbols may be two names of one function: they differ in their prefix alone.
pub(crate) fn may_be_one(one: &Symbol, other: &Symbol) -> bool {
    fn bare(symbol: &[u8]) -> &[u8] {
        symbol.strip_prefix(b"__").map_or(symbol, |rest| cut(rest, b'_').1)
    }
    let (one, other) = (one.as_bytes(), other.as_bytes());
    // Most do not, which is seen at once.
    one.last() == other.last() && bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fake::Kernel;

    fn symbol(name: &str) -> Symbol {
        Symbol::new(name.as_bytes(), b"", b"")
    }

    fn are_one(list: &'static str, one: &str, other: &str) -> Result<bool, Errno> {
        let files = vec![("/proc/kallsyms", list)].leak();
        let (answer, _) = Kernel { files, ..Kernel::new() }
            .run(|| Addresses::read()?.are_one(&symbol(one), &symbol(other)));
        answer
    }

    const SHOWN: &str = "\
ffffffff81000010 T __x64_sys_getpid
ffffffff81000010 T __ia32_sys_getpid
ffffffff81000020 T __x64_sys_read
ffffffff81000030 T __ia32_sys_read
ffffffffc0000040 t __ia32_sys_close\t[module]
";

    #[test]
    fn two_names_of_one_address_are_one_function() {
        assert_eq!(are_one(SHOWN, "__x64_sys_getpid", "__ia32_sys_getpid"), Ok(true));
        assert_eq!(are_one(SHOWN, "__x64_sys_read", "__ia32_sys_read"), Ok(false));
        let of_a_module = are_one(SHOWN, "__x64_sys_read", "__ia32_sys_close");
        assert_eq!(of_a_module, Err(Errno(libc::ENODATA)));
    }

    #[test]
    fn hidden_addresses_are_an_error_and_not_one_function() {
        const HIDDEN: &str = "0000000000000000 T __x64_sys_read\n\
                              0000000000000000 T __ia32_sys_read\n";
        let hidden = are_one(HIDDEN, "__x64_sys_read", "__ia32_sys_read");
        assert_eq!(hidden, Err(Errno(libc::EPERM)));
    }

    #[test]
    fn names_that_differ_in_more_than_the_prefix_are_of_two_functions() {
        let may = |one, other| may_be_one(&symbol(one), &symbol(other));
        assert!(may("__x64_sys_read", "__ia32_sys_read"));
        assert!(!may("__x64_sys_ioctl", "__ia32_compat_sys_ioctl"));
        assert!(!may("__x64_sys_read", "__ia32_sys_readv"));
        assert!(!may("sys_read", "compat_sys_read"));
    }
}
