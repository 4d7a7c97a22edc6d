//! Stubs: what a kernel has in place of the functions of calls that it was built
//! without.
//!
//! They are weak symbols (`COND_SYSCALL` of kernel/sys_ni.c), which is their type
//! in /proc/kallsyms. x86-64, arm64 and riscv64 with wrappers have one for each
//! call, and a probe on it fires when the call is made. Without wrappers, and on
//! s390x, they are other names of one function, `sys_ni_syscall`, and a probe on it
//! fires for every call that is not there. POWER's with wrappers are so short that
//! the kernel may put the probe on the function behind (`kprobe_lookup_name()` of
//! arch/powerpc/kernel/kprobes.c looks for an ftrace site in 16 bytes).

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::candidates::Symbol;
use crate::lines::for_each_line;
use crate::sys::{self, Fd, Mode};
use crate::text::parts;

/// More than a kernel has stubs: two for each call, if it has nothing optional.
const MAX_STUBS: usize = 1024;

/// The names of the running kernel's stubs, each by its [`hash`].
struct Stubs {
    hashes: [AtomicU64; MAX_STUBS],
    /// One more than there are, 0 before they were read: zeros take no room in the library.
    end: AtomicUsize,
}

/// Whether the kernel has `symbol` as a stub. Where /proc/kallsyms cannot be read, no.
///
/// The first time this reads all of that, some 100,000 lines.
#[inline(never)]
pub(crate) fn is_stub(symbol: &Symbol) -> bool {
    static STUBS: Stubs = Stubs::unread();
    if !STUBS.are_read() {
        if let Ok(symbols) = sys::open(c"/proc/kallsyms", Mode::Read) {
            STUBS.read(&symbols);
        }
    }
    STUBS.contains(symbol.as_str())
}

impl Stubs {
    const fn unread() -> Self {
        Self { hashes: [const { AtomicU64::new(0) }; MAX_STUBS], end: AtomicUsize::new(0) }
    }

    fn are_read(&self) -> bool {
        self.end.load(Ordering::Acquire) != 0
    }

    /// Threads that do this at the same time write the same numbers to the same places.
    fn read(&self, symbols: &Fd) {
        let mut count = 0;
        for_each_line(symbols, &mut |line| {
            let mut fields = parts(line, b' ').skip(1);
            let (kind, name) = (fields.next(), fields.next().unwrap_or_default());
            if matches!(kind, Some("W" | "w")) && has_sys(name) {
                if let Some(hash_of) = self.hashes.get(count) {
                    hash_of.store(hash(name), Ordering::Relaxed);
                    count += 1;
                }
            }
            // Those of modules come last, and change.
            line.ends_with(']')
        });
        self.end.store(count + 1, Ordering::Release);
    }

    fn contains(&self, name: &str) -> bool {
        let count = self.end.load(Ordering::Acquire).saturating_sub(1);
        let sought = hash(name);
        self.hashes.iter().take(count).any(|hash| hash.load(Ordering::Relaxed) == sought)
    }
}

/// Whether it may be a call's: `sys_mbind`, `compat_sys_mbind`.
fn has_sys(name: &str) -> bool {
    name.as_bytes().windows(4).any(|part| part == b"sys_")
}

/// FNV-1a. That a function has the hash of one of a thousand stubs is a chance of
/// 1 in 10^16.
pub(crate) fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stubs_are_the_weak_symbols_of_calls() {
        let path = std::env::temp_dir().join(format!("ksyscall-stubs-{}", std::process::id()));
        let symbols = "\
c0100000 T sys_openat
c0112358 T sys_ni_syscall
c0112358 W sys_mbind
c0112358 W compat_sys_mbind
00000000 w __weak_helper
00000000 T sys_move_pages
bf000000 t anything\t[module]
bf000000 W sys_of_a_module\t[module]
";
        std::fs::write(&path, symbols).unwrap();
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let file = sys::open(&name, Mode::Read).unwrap();
        std::fs::remove_file(path).unwrap();
        let stubs = Stubs::unread();
        assert!(!stubs.are_read() && !stubs.contains("sys_mbind"));
        stubs.read(&file);
        assert!(stubs.are_read());
        for name in ["sys_mbind", "compat_sys_mbind"] {
            assert!(stubs.contains(name), "{name}");
        }
        for name in ["sys_openat", "sys_move_pages", "sys_ni_syscall", "sys_of_a_module", ""] {
            assert!(!stubs.contains(name), "{name}");
        }
    }
}
