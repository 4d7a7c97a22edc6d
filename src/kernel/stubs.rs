//! Recognises stubs: the functions that replace system calls that the kernel was built without.
//!
//! Stubs are weak symbols (`COND_SYSCALL` in kernel/sys_ni.c), and /proc/kallsyms shows a symbol's
//! type.
//!
//! Some kernels have a separate stub for each call: x86-64 and arm64 since Linux 5.4 (5.7 for
//! 32-bit processes on x86), and riscv64 kernels that have syscall wrappers. A probe on a separate
//! stub fires only for the call that the stub replaces. In other kernels, all stubs are aliases of
//! one function, `sys_ni_syscall`, and a probe on this function fires for every missing call. If a
//! vendor backported separate stubs to an older kernel, this code treats the stubs as shared, so
//! attaching to a missing call fails on that kernel too. On POWER kernels that have syscall
//! wrappers, a stub is so short that the kernel may put the probe on the next function
//! (`kprobe_lookup_name()` in arch/powerpc/kernel/kprobes.c looks for an ftrace site in 16 bytes).
//!
//! Before Linux 6.7, a kernel without POSIX timers defines the timer calls as aliases of
//! `sys_ni_posix_timers`. The aliases are not weak (`SYS_NI` in kernel/time/posix-stubs.c). This
//! code recognises the aliases by their address, which the kernel shows to processes with
//! `CAP_SYSLOG`. On kernels with separate stubs, this code does not look for the aliases, because a
//! kernel without POSIX timers is rare: building one requires `CONFIG_EXPERT`.

use alloc::vec::Vec;
use core::ffi::CStr;

use errno::Errno;

use super::symbols::Symbols;
use crate::calls::Symbol;
use crate::sys::Kept;
use crate::text::hash;

/// The hashes ([`hash`]) of the running kernel's stub names. With a thousand stubs, the probability
/// that a function's hash collides with a stub's hash is about 1 in 10^16, or 1 in 10^6 on 32-bit
/// machines.
static STUBS: Kept<Vec<usize>> = Kept::nothing();

/// Returns whether `symbol` is known to be a stub, without asking the kernel.
pub(crate) fn is_known_stub(symbol: &Symbol) -> bool {
    STUBS.get().is_some_and(|stubs| stubs.contains(&hash(symbol.as_bytes())))
}

/// Returns whether `symbol` is a stub. The running kernel must contain `symbol`.
///
/// The first call reads /proc/kallsyms, which contains about 100,000 lines.
///
/// # Errors
/// Fails if the list cannot be read completely. In that case, nothing is remembered.
pub(crate) fn is_stub(symbol: &Symbol) -> Result<bool, Errno> {
    if STUBS.get().is_none() {
        STUBS.keep(read(c"/proc/kallsyms", symbol.as_bytes())?)?;
    }
    Ok(is_known_stub(symbol))
}

/// Returns the hashes of the stubs in a list of symbols.
///
/// # Errors
/// Returns the error from reading the list, ENODATA if the list does not contain `known`, or
/// ENOMEM.
fn read(list: &CStr, known: &[u8]) -> Result<Vec<usize>, Errno> {
    let symbols = Symbols::of_kallsyms(list)?;
    if !symbols.contains(known) {
        return Err(Errno(libc::ENODATA));
    }
    let mut stubs = Vec::new();
    let count = symbols.stubs().count();
    stubs.try_reserve_exact(count).map_err(|_| Errno(libc::ENOMEM))?;
    stubs.extend(symbols.stubs().map(hash));
    Ok(stubs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::oracle::Unnamed;

    const PLAIN: &str = "\
c0100000 T sys_openat
c0112358 T sys_ni_syscall
c0112358 W sys_mbind
c0112358 W compat_sys_mbind
c0112358 W __x64_sys_move_pages
c0112400 T sys_timer_create
c0112400 T sys_ni_posix_timers
c0112400 T sys_alarm
c0112500 T sys_getpid
00000000 w __weak_helper
00000000 T sys_move_pages
bf000000 t anything\t[module]
bf000000 W sys_of_a_module\t[module]
";

    /// Returns the stubs of a kernel that has these symbols, which must include `sys_openat`.
    fn stubs_of(symbols: &str) -> Result<Vec<usize>, Errno> {
        read(&Unnamed::new(symbols.as_bytes()).path(), b"sys_openat")
    }

    fn is_in(stubs: &[usize], names: &[&str]) -> Vec<bool> {
        names.iter().map(|name| stubs.contains(&hash(name.as_bytes()))).collect()
    }

    #[test]
    fn stubs_are_the_weak_symbols_of_calls() {
        let stubs = stubs_of(PLAIN).unwrap();
        let names = ["sys_mbind", "compat_sys_mbind", "__x64_sys_move_pages"];
        assert_eq!(is_in(&stubs, &names), [true; 3]);
        let others = ["sys_openat", "sys_move_pages", "sys_getpid", "sys_of_a_module", ""];
        assert_eq!(is_in(&stubs, &others), [false; 5]);
    }

    #[test]
    fn aliases_of_sys_ni_posix_timers_are_stubs() {
        let stubs = stubs_of(PLAIN).unwrap();
        let names = ["sys_timer_create", "sys_ni_posix_timers", "sys_alarm"];
        assert_eq!(is_in(&stubs, &names), [true; 3]);
    }

    #[test]
    fn hidden_addresses_are_not_equal_addresses() {
        let hidden: String =
            PLAIN.lines().map(|line| format!("00000000{}\n", &line[8..])).collect();
        let stubs = stubs_of(&hidden).unwrap();
        assert_eq!(is_in(&stubs, &["sys_mbind", "sys_openat", "sys_alarm"]), [true, false, false]);
    }

    #[test]
    fn truncated_lists_are_an_error() {
        assert_eq!(stubs_of("").err(), Some(Errno(libc::ENODATA)));
        assert_eq!(stubs_of("c0112358 W sys_mbind\n").err(), Some(Errno(libc::ENODATA)));
        assert_eq!(read(c"/", b"sys_openat"), Err(Errno(libc::EISDIR)));
        assert_eq!(read(c"/none", b"sys_openat"), Err(Errno(libc::ENOENT)));
    }
}
