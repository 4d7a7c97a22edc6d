//! Reads the kernel's syscall functions from /proc/kallsyms. No other module reads that list.
//!
//! The list has about 100,000 lines. Reading the list is slower than probing for one call, but
//! faster than probing for hundreds of calls.

use alloc::vec::Vec;
use core::ffi::CStr;

use errno::Errno;

use super::tracefs;
use crate::calls::Symbol;
use crate::sys::{self, Mode};
use crate::text::{cut, number, parts};

/// Size of one read, in bytes. The buffer must have room for several lines.
const BUFFER: usize = 64 * 1024;

/// The kernel's symbols (excluding modules) that may be syscall functions.
#[derive(Debug)]
pub(crate) struct Symbols(Vec<Function>);

/// A line of the list.
#[derive(Debug)]
struct Function {
    symbol: Symbol,
    /// The symbol's address, or 0 if the list hides it.
    address: u64,
    is_weak: bool,
}

impl Symbols {
    /// Reads the symbols of the running kernel.
    ///
    /// # Errors
    /// Returns the error from reading /proc/kallsyms, ENODATA if the file contains no symbols of
    /// syscall functions, or ENOMEM.
    pub(crate) fn read() -> Result<Self, Errno> {
        Self::of_kallsyms(c"/proc/kallsyms")
    }

    /// Reads the symbols of the functions that ftrace can trace. A kprobe.multi link can attach
    /// only to these functions. The list contains no addresses.
    pub(crate) fn read_traceable() -> Result<Self, Errno> {
        Self::of_ftrace(tracefs::find(b"/available_filter_functions")?.as_c_str())
    }

    pub(super) fn of_kallsyms(path: &CStr) -> Result<Self, Errno> {
        Self::of(path, |line| {
            let mut fields = parts(line, b' ');
            let address = number(fields.next()?, 16)?;
            let is_weak = matches!(fields.next()?, b"W" | b"w");
            Some(Function { symbol: of_a_call(fields.next()?)?, address, is_weak })
        })
    }

    fn of_ftrace(path: &CStr) -> Result<Self, Errno> {
        Self::of(path, |line| {
            let symbol = of_a_call(cut(line, b' ').0)?;
            Some(Function { symbol, address: 0, is_weak: false })
        })
    }

    fn of(path: &CStr, parse: fn(&[u8]) -> Option<Function>) -> Result<Self, Errno> {
        let mut functions = Vec::new();
        let mut has_room = true;
        for_each_marked_line(path, &mut |line| {
            // Functions in modules serve no system calls.
            let Some(function) = parse(line).filter(|_| !line.ends_with(b"]")) else { return };
            has_room = has_room && functions.try_reserve(1).is_ok();
            if has_room {
                functions.push(function);
            }
        })?;
        if !has_room {
            return Err(Errno(libc::ENOMEM));
        }
        if functions.is_empty() {
            return Err(Errno(libc::ENODATA));
        }
        Ok(Self(functions))
    }

    fn function(&self, name: &[u8]) -> Option<&Function> {
        // A linear search is fast enough: it takes less time than reading the few thousand symbols.
        self.0.iter().find(|function| function.symbol.as_bytes() == name)
    }

    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        self.function(name).is_some()
    }

    /// Returns the stored symbol that is called `name`.
    #[cfg(feature = "capi")]
    pub(crate) fn find(&self, name: &[u8]) -> Option<&Symbol> {
        self.function(name).map(|function| &function.symbol)
    }

    /// Returns whether two symbols name the same function. On x86_64, the function that serves a
    /// call without arguments has two names, for example `__x64_sys_getpid` and `__ia32_sys_getpid`
    /// (`__SYS_STUB0` in arch/x86/include/asm/syscall_wrapper.h). Probing both names would run the
    /// program twice for each call.
    ///
    /// # Errors
    /// Returns ENODATA if one of the symbols is not in the list, or EPERM if the list hides
    /// addresses. Seeing the addresses requires `CAP_SYSLOG` (`kallsyms_show_value()` in
    /// kernel/ksyms_common.c).
    pub(crate) fn are_same_function(&self, one: &Symbol, other: &Symbol) -> Result<bool, Errno> {
        let address = |symbol: &Symbol| match self
            .function(symbol.as_bytes())
            .map(|function| function.address)
        {
            Some(0) if self.0.iter().all(|function| function.address == 0) => {
                Err(Errno(libc::EPERM))
            }
            None | Some(0) => Err(Errno(libc::ENODATA)),
            Some(address) => Ok(address),
        };
        Ok(address(one)? == address(other)?)
    }

    /// Returns the names of the symbols that are stubs: see `stubs.rs`.
    pub(super) fn stubs(&self) -> impl Iterator<Item = &[u8]> {
        let is_timers = |function: &&Function| {
            function.address != 0 && function.symbol.as_bytes().ends_with(b"sys_ni_posix_timers")
        };
        let timers = self.0.iter().find(is_timers).map(|function| function.address);
        let stubs = self.0.iter().filter(move |function| {
            function.is_weak || (timers.is_some() && timers == Some(function.address))
        });
        stubs.map(|function| function.symbol.as_bytes())
    }
}

/// Returns whether the symbols may name the same function: whether they differ only in the prefix.
pub(crate) fn may_be_one(one: &Symbol, other: &Symbol) -> bool {
    fn bare(symbol: &[u8]) -> &[u8] {
        symbol.strip_prefix(b"__").map_or(symbol, |rest| cut(rest, b'_').1)
    }
    let (one, other) = (one.as_bytes(), other.as_bytes());
    // The comparison of the last bytes rejects most pairs quickly.
    one.last() == other.last() && bare(one) == bare(other)
}

/// Reads a symbol list, and calls `each` with every line that may contain a syscall function.
///
/// # Errors
/// Returns the error from reading the list, or ENOMEM.
fn for_each_marked_line(path: &CStr, each: &mut dyn FnMut(&[u8])) -> Result<(), Errno> {
    let file = sys::open(path, Mode::Read)?;
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(BUFFER).map_err(|_| Errno(libc::ENOMEM))?;
    buffer.resize(BUFFER, 0);
    // Length of an incomplete line at the start of the buffer.
    let mut start = 0;
    loop {
        let room = buffer.get_mut(start..).unwrap_or_default();
        let read = sys::read(&file, room)?;
        let text = buffer.get(..start + read).unwrap_or_default();
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let (lines, rest) = text.split_at_checked(whole).unwrap_or((text, &[]));
        each_marked(lines, each);
        if read == 0 {
            return Ok(());
        }
        // No valid line is longer than half the buffer, so skip any longer line.
        start = if rest.len() < BUFFER / 2 { rest.len() } else { 0 };
        buffer.copy_within(whole..whole + start, 0);
    }
}

/// Calls `each` with every line that contains a mark (see [`mark`]). The name of every syscall
/// function contains a mark. Most lines contain no mark, and are skipped three bytes at a time.
fn each_marked(lines: &[u8], each: &mut dyn FnMut(&[u8])) {
    let mut rest = lines;
    while let Some((before, after)) = mark(rest).and_then(|mark| rest.split_at_checked(mark)) {
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let len = after.iter().position(|byte| *byte == b'\n').unwrap_or(after.len());
        each(rest.get(start..before.len() + len).unwrap_or_default());
        rest = after.get(len..).unwrap_or_default();
    }
}

/// Returns the position of the first mark of a syscall function: `sys`, `SyS` or `ppc`.
fn mark(text: &[u8]) -> Option<usize> {
    let mut last = 2;
    loop {
        // Distance to the next place where a mark can end.
        let step = match text.get(last)? {
            b'y' | b'p' => 1,
            b's' | b'S' => 2,
            b'c' => 3,
            _ => {
                last += 3;
                continue;
            }
        };
        if matches!(text.get(last - 2..=last), Some(b"sys" | b"SyS" | b"ppc")) {
            return Some(last - 2);
        }
        last += step;
    }
}

/// Returns the symbol `name`, if it may be a syscall function.
fn of_a_call(name: &[u8]) -> Option<Symbol> {
    mark(name)?;
    let symbol = Symbol::new(name, b"", b"");
    // `Symbol` does not store a name that is too long for a syscall function.
    (symbol.as_bytes() == name).then_some(symbol)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::oracle::Unnamed;

    /// Parses `text` as /proc/kallsyms.
    fn read(text: &str) -> Result<Symbols, Errno> {
        Symbols::of_kallsyms(&Unnamed::new(text.as_bytes()).path())
    }

    #[test]
    fn only_syscall_functions_of_the_kernel_are_read() {
        let text = format!(
            "c01 T __x64_sys_openat\nc02 W sys_mbind\nc02 T do_exit\nc03 T __x64_sys_{}\n\
             c04 t ppc_rtas\nbf0 t sys_of_a_module\t[module]\n",
            "x".repeat(100)
        );
        let symbols = read(&text).unwrap();
        for name in [&b"__x64_sys_openat"[..], b"sys_mbind"] {
            assert!(symbols.contains(name));
        }
        let cut = format!("__x64_sys_{}", "x".repeat(66));
        for name in [&b"do_exit"[..], b"sys_of_a_module", b"", cut.as_bytes()] {
            assert!(!symbols.contains(name));
        }
    }

    #[test]
    fn traceable_functions_are_read_from_lines() {
        let list = Unnamed::new(b"__x64_sys_openat\nsys_fillrect [fb]\n");
        let symbols = Symbols::of_ftrace(&list.path()).unwrap();
        assert!(symbols.contains(b"__x64_sys_openat") && !symbols.contains(b"sys_fillrect"));
    }

    #[test]
    fn lists_longer_than_the_buffer_are_read_completely() {
        let line = |n: usize| format!("{n:x} T sys_{n}\n");
        let text: String = (0..20_000).map(line).collect();
        assert!(text.len() > 4 * BUFFER);
        let symbols = read(&text).unwrap();
        assert_eq!(symbols.0.len(), 20_000);
        assert!((0..20_000).all(|n| symbols.contains(format!("sys_{n}").as_bytes())));
        let text = format!("1 T {}\n2 T sys_last\n", "x".repeat(3 * BUFFER));
        assert!(read(&text).unwrap().contains(b"sys_last"));
    }

    #[test]
    fn a_list_without_syscall_functions_is_an_error() {
        assert_eq!(read("c02 T do_exit\n").map(drop), Err(Errno(libc::ENODATA)));
        assert_eq!(Symbols::of_kallsyms(c"/none").map(drop), Err(Errno(libc::ENOENT)));
    }

    /// Returns all strings that consist of at most `len` of these letters.
    fn texts(letters: &[u8], len: u32) -> impl Iterator<Item = Vec<u8>> {
        let digit = |n: usize, place| letters[n / letters.len().pow(place) % letters.len()];
        (0..=len).flat_map(move |len| {
            let all = 0..letters.len().pow(len);
            all.map(move |n| (0..len).map(|place| digit(n, place)).collect())
        })
    }

    #[test]
    fn no_mark_is_skipped() {
        for text in texts(b"sySpcx", 6) {
            let first = text
                .windows(3)
                .position(|part| [b"sys", b"SyS", b"ppc"].contains(&part.try_into().unwrap()));
            assert_eq!(mark(&text), first, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn lines_without_a_mark_are_skipped() {
        for text in texts(b"sy\nx", 7) {
            let mut marked = Vec::new();
            each_marked(&text, &mut |line| marked.push(line.to_owned()));
            let lines = text.split(|byte| *byte == b'\n');
            let expected: Vec<_> = lines.filter(|line| mark(line).is_some()).collect();
            assert_eq!(marked, expected, "{}", text.escape_ascii());
        }
    }

    fn symbol(name: &str) -> Symbol {
        Symbol::new(name.as_bytes(), b"", b"")
    }

    fn are_same_function(list: &str, one: &str, other: &str) -> Result<bool, Errno> {
        read(list)?.are_same_function(&symbol(one), &symbol(other))
    }

    const SHOWN: &str = "\
ffffffff81000010 T __x64_sys_getpid
ffffffff81000010 T __ia32_sys_getpid
ffffffff81000020 T __x64_sys_read
ffffffff81000030 T __ia32_sys_read
ffffffffc0000040 t __ia32_sys_close\t[module]
";

    #[test]
    fn two_names_with_one_address_are_one_function() {
        assert_eq!(are_same_function(SHOWN, "__x64_sys_getpid", "__ia32_sys_getpid"), Ok(true));
        assert_eq!(are_same_function(SHOWN, "__x64_sys_read", "__ia32_sys_read"), Ok(false));
        let of_a_module = are_same_function(SHOWN, "__x64_sys_read", "__ia32_sys_close");
        assert_eq!(of_a_module, Err(Errno(libc::ENODATA)));
    }

    #[test]
    fn hidden_addresses_are_an_error() {
        const HIDDEN: &str = "0000000000000000 T __x64_sys_read\n\
                              0000000000000000 T __ia32_sys_read\n";
        let hidden = are_same_function(HIDDEN, "__x64_sys_read", "__ia32_sys_read");
        assert_eq!(hidden, Err(Errno(libc::EPERM)));
        const SOME: &str = "0000000000000000 T __x64_sys_read\n\
                            0000000000000000 T __ia32_sys_read\n\
                            0000000000000c01 T sys_close\n";
        let hidden = are_same_function(SOME, "__x64_sys_read", "__ia32_sys_read");
        assert_eq!(hidden, Err(Errno(libc::ENODATA)));
    }

    #[test]
    fn names_that_differ_beyond_the_prefix_are_two_functions() {
        let may = |one, other| may_be_one(&symbol(one), &symbol(other));
        assert!(may("__x64_sys_read", "__ia32_sys_read"));
        assert!(!may("__x64_sys_ioctl", "__ia32_compat_sys_ioctl"));
        assert!(!may("__x64_sys_read", "__ia32_sys_readv"));
        assert!(!may("sys_read", "compat_sys_read"));
    }
}
