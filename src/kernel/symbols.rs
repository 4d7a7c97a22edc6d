//! Which functions the kernel has of system calls, all at once: for one it is cheaper to
//! try, for hundreds to read /proc/kallsyms, some 100,000 lines.

use alloc::vec::Vec;
use core::ffi::CStr;

use errno::Errno;

use super::tracefs;
use crate::resolve::Symbol;
use crate::sys::{self, Mode};
use crate::text::parts;

/// How much is read at a time, in bytes: several lines at least.
const BUFFER: usize = 64 * 1024;

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
        let mut add = |line: &[u8]| {
            // Those of modules have none.
            let symbol = name(line).filter(|_| !line.ends_with(b"]")).and_then(of_a_call);
            if let Some(symbol) = symbol {
                has_room = has_room && symbols.try_reserve(1).is_ok();
                if has_room {
                    symbols.push(symbol);
                }
            }
        };
        for_each_marked_line(path, &mut add)?;
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
        self.find(symbol).is_some()
    }

    /// The symbol as it stands here.
    pub(crate) fn find(&self, symbol: &Symbol) -> Option<&Symbol> {
        let found = self.0.binary_search_by(|other| other.as_bytes().cmp(symbol.as_bytes()));
        found.ok().and_then(|index| self.0.get(index))
    }
}

/// Calls `each` with the lines of a list of symbols that may have one of a call's.
///
/// # Errors
/// What reading it fails with; ENOMEM.
pub(super) fn for_each_marked_line(path: &CStr, each: &mut dyn FnMut(&[u8])) -> Result<(), Errno> {
    let file = sys::open(path, Mode::Read)?;
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(BUFFER).map_err(|_| Errno(libc::ENOMEM))?;
    buffer.resize(BUFFER, 0);
    // What there is of a line whose end was not read yet.
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
        // A line that fills the buffer is none of this list's.
        start = if rest.len() < BUFFER / 2 { rest.len() } else { 0 };
        buffer.copy_within(whole..whole + start, 0);
    }
}

/// Calls `each` with the lines that have what each symbol of a call has. Most have not, and
/// are passed over three bytes at a time.
fn each_marked(lines: &[u8], each: &mut dyn FnMut(&[u8])) {
    let mut rest = lines;
    while let Some((before, after)) = mark(rest).and_then(|mark| rest.split_at_checked(mark)) {
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let len = after.iter().position(|byte| *byte == b'\n').unwrap_or(after.len());
        each(rest.get(start..before.len() + len).unwrap_or_default());
        rest = after.get(len..).unwrap_or_default();
    }
}

/// Where the first mark of a call's symbol is.
fn mark(text: &[u8]) -> Option<usize> {
    let mut last = 2;
    loop {
        // How far on the next one can end.
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

/// The symbol, if that of a call can be so called.
pub(super) fn of_a_call(name: &[u8]) -> Option<Symbol> {
    mark(name)?;
    let symbol = Symbol::new(name, b"", b"");
    // One that is longer than a call's has been cut.
    (symbol.as_bytes() == name).then_some(symbol)
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
    fn a_list_longer_than_the_buffer_is_read_whole() {
        let line = |n: usize| format!("{n:x} T sys_{n}\n");
        let text: String = (0..20_000).map(line).collect();
        assert!(text.len() > 4 * BUFFER);
        let symbols = read(&text, "long", true).unwrap();
        assert_eq!(symbols.0.len(), 20_000);
        assert!((0..20_000).all(|n| has(&symbols, format!("sys_{n}").as_bytes())));
        let text = format!("1 T {}\n2 T sys_last\n", "x".repeat(3 * BUFFER));
        let symbols = read(&text, "wide", true).unwrap();
        assert!(has(&symbols, b"sys_last"));
    }

    #[test]
    fn a_list_without_any_is_an_error() {
        let none = read("c02 T do_exit\n", "none", true);
        assert_eq!(none.map(drop), Err(Errno(libc::ENODATA)));
        assert_eq!(Symbols::of_kallsyms(c"/none").map(drop), Err(Errno(libc::ENOENT)));
    }

    /// All texts of up to so many of these letters.
    fn texts(letters: &[u8], len: u32) -> impl Iterator<Item = Vec<u8>> {
        let digit = |n: usize, place| letters[n / letters.len().pow(place) % letters.len()];
        (0..=len).flat_map(move |len| {
            let all = 0..letters.len().pow(len);
            all.map(move |n| (0..len).map(|place| digit(n, place)).collect())
        })
    }

    #[test]
    fn no_mark_is_passed_over() {
        for text in texts(b"sySpcx", 6) {
            let first = text
                .windows(3)
                .position(|part| [b"sys", b"SyS", b"ppc"].contains(&part.try_into().unwrap()));
            assert_eq!(mark(&text), first, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn lines_without_a_mark_are_passed_over() {
        for text in texts(b"sy\nx", 7) {
            let mut marked = Vec::new();
            each_marked(&text, &mut |line| marked.push(line.to_owned()));
            let lines = text.split(|byte| *byte == b'\n');
            let expected: Vec<_> = lines.filter(|line| mark(line).is_some()).collect();
            assert_eq!(marked, expected, "{}", text.escape_ascii());
        }
    }
}
