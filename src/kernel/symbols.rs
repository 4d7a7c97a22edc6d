//! Which functions the kernel has of system calls, all at once: for one it is cheaper to
//! try, for hundreds to read /proc/kallsyms, some 100,000 lines.

use alloc::vec::Vec;
use core::ffi::CStr;

use errno::Errno;

use super::tracefs;
use crate::resolve::Symbol;
use crate::sys::{self, Mode};
use crate::text::parts;

/// Symbols of the kernel itself that may be functions of system calls, in order.
#[derive(Debug)]
pub(crate) struct Symbols(Vec<Symbol>);

impl Symbols {
    /// Those of the running kernel.
    ///
    /// # Errors
    /// What reading /proc/kallsyms fails with; ENODATA if there are none in it; ENOMEM.
    pub(crate) fn read() -> Result<Self, Errno> {
        Self::of_kallsyms(c"/proc/kallsyms")
    }

    /// Those of them that ftrace can trace, which kprobe.multi needs.
    pub(crate) fn read_traceable() -> Result<Self, Errno> {
        Self::of_ftrace(tracefs::find(b"/available_filter_functions")?.as_c_str())
    }

    fn of_kallsyms(path: &CStr) -> Result<Self, Errno> {
        Self::of(path, |line| parts(line, b' ').nth(2))
    }

    fn of_ftrace(path: &CStr) -> Result<Self, Errno> {
        Self::of(path, |line| parts(line, b' ').next())
    }

    fn of(path: &CStr, name: fn(&[u8]) -> Option<&[u8]>) -> Result<Self, Errno> {
        let mut symbols = Vec::new();
        let mut has_room = true;
        sys::for_each_line(&sys::open(path, Mode::Read)?, &mut |line| {
            let is_of_a_module = line.ends_with(b"]");
            if let Some(symbol) = name(line).filter(|_| !is_of_a_module).and_then(of_a_call) {
                has_room = symbols.try_reserve(1).is_ok();
                if has_room {
                    symbols.push(symbol);
                }
            }
            !has_room
        })?;
        if !has_room {
            return Err(Errno(libc::ENOMEM));
        }
        if symbols.is_empty() {
            return Err(Errno(libc::ENODATA));
        }
        symbols.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        Ok(Self(symbols))
    }

    pub(crate) fn contains(&self, symbol: &Symbol) -> bool {
        self.0.binary_search_by(|other| other.as_bytes().cmp(symbol.as_bytes())).is_ok()
    }
}

/// The symbol, if that of a call can be so called.
pub(super) fn of_a_call(name: &[u8]) -> Option<Symbol> {
    let symbol = Symbol::new(name, b"", b"");
    let is_whole = symbol.as_bytes() == name;
    let has_a_part = name.windows(3).any(|part| matches!(part, b"sys" | b"SyS" | b"ppc"));
    (is_whole && has_a_part).then_some(symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of a file with that text, as /proc/kallsyms or as tracefs's list.
    fn read(text: &str, test: &str, is_kallsyms: bool) -> Result<Symbols, Errno> {
        let file = format!("ksyscall-symbols-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(file);
        std::fs::write(&path, text).unwrap();
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let read =
            if is_kallsyms { Symbols::of_kallsyms(&name) } else { Symbols::of_ftrace(&name) };
        std::fs::remove_file(path).unwrap();
        read
    }

    fn has(symbols: &Symbols, name: &[u8]) -> bool {
        symbols.contains(&Symbol::new(name, b"", b""))
    }

    #[test]
    fn symbols_are_those_of_the_kernel_that_calls_have() {
        let text = format!(
            "c01 T __x64_sys_openat\nc02 W sys_mbind\nc02 T do_exit\nc03 T __x64_sys_{}\n\
             c04 t ppc_rtas\nbf0 t sys_of_a_module\t[module]\n",
            "x".repeat(100)
        );
        let symbols = read(&text, "kallsyms", true).unwrap();
        for name in [&b"__x64_sys_openat"[..], b"sys_mbind"] {
            assert!(has(&symbols, name));
        }
        let cut = format!("__x64_sys_{}", "x".repeat(66));
        for name in [&b"do_exit"[..], b"sys_of_a_module", b"", cut.as_bytes()] {
            assert!(!has(&symbols, name));
        }
    }

    #[test]
    fn functions_that_ftrace_can_trace_are_one_a_line() {
        let symbols = read("__x64_sys_openat\nsys_fillrect [fb]\n", "ftrace", false).unwrap();
        assert!(has(&symbols, b"__x64_sys_openat") && !has(&symbols, b"sys_fillrect"));
    }

    #[test]
    fn a_list_without_any_is_an_error() {
        let none = read("c02 T do_exit\n", "none", true);
        assert_eq!(none.map(drop), Err(Errno(libc::ENODATA)));
        assert_eq!(Symbols::of_kallsyms(c"/none").map(drop), Err(Errno(libc::ENOENT)));
    }
}
