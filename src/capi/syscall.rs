//! If a tool opens a probe without calling this library, moves the probe to the function that
//! serves the call.
//!
//! aya, bcc, and tools that contain a static libbpf open probes through the C library's
//! `syscall()`, which this library replaces if it is preloaded (`syscall.S`, `perf_event_open.c`).
//! A probe stays unchanged if
//! - the probe does not name a function, or is not at the function's entry or return;
//! - the name matches none of the patterns by which loaders derive it from a call's name;
//! - a native call reaches the function and the kernel has the function.
//!
//! Any other probe is opened on the function that serves the call of that name, according to the
//! rules of `bpf_program__attach_ksyscall`. If no function serves the call, the tool's own request
//! is passed to the kernel.
//!
//! A signal handler may open a probe. Passing a probe on unchanged therefore allocates no memory
//! and takes no lock. Finding a different function may allocate memory and take a lock, just as an
//! attach may.
//!
//! The tool's request is read only after the kernel has confirmed that the memory is readable: a
//! bad address must result in EFAULT, just as without this library. This library never writes to
//! the tool's memory. Instead, the kernel receives a copy of the request with a different name.

use core::ffi::c_long;
use core::fmt::Write as _;

use errno::Errno;

use super::environment::variable;
use super::remembered::REMEMBERED;
use super::warning::Warning;
use crate::attach::requested::{self, Serving};
use crate::calls::Symbol;
use crate::calls::form::Form;
use crate::kernel::pmu::Pmu;
use crate::sys::{self, Fd};
use crate::text::Text;
use crate::{Error, sys::PerfEventCall};

/// The beginning of `struct perf_event_attr`, and room for the fields that newer kernels add.
#[repr(C)]
#[derive(Clone, Copy)]
struct Attr {
    kind: u32,
    size: u32,
    config: u64,
    others: [u64; 5],
    /// The address of the function's name.
    config1: u64,
    /// The probe's offset in the function.
    config2: u64,
    rest: [u64; 55],
}

/// `PERF_ATTR_SIZE_VER0`: the kernel treats a size of 0 as this size, and refuses sizes from 1 to
/// 63.
const SMALLEST: usize = 64;
const _: () = assert!(core::mem::offset_of!(Attr, config2) == SMALLEST);

/// Handles a call to perf_event_open(2). Returns a descriptor or a negative errno.
///
/// # Safety
/// A program must have passed the arguments to `syscall()`.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_open_probe(
    attr: usize,
    pid: usize,
    cpu: usize,
    group_fd: usize,
    flags: usize,
) -> c_long {
    match open(PerfEventCall { attr, pid, cpu, group_fd, flags }) {
        Ok(fd) => fd as c_long,
        Err(Errno(errno)) => -c_long::from(errno),
    }
}

fn open(call: PerfEventCall) -> Result<usize, Errno> {
    let Some(probe) = Probe::of(call) else { return call.make() };
    let refusal = match requested::serving(&probe.form) {
        Serving::None => return call.make(),
        Serving::Another => None,
        Serving::Itself => match call.make() {
            Err(errno) if probe.is_missing(&probe.symbol, errno) => Some(errno),
            answer => return answer,
        },
    };
    let Some((event, symbol)) = probe.open_serving() else {
        return refusal.map_or_else(|| call.make(), Err);
    };
    warn(&probe, symbol);
    Ok(event.into_raw() as usize)
}

/// A probe on a function whose name matches a pattern that loaders use to derive it from a call's
/// name.
struct Probe {
    call: PerfEventCall,
    attr: Attr,
    retprobe: bool,
    symbol: Symbol,
    form: Form,
}

impl Probe {
    fn of(call: PerfEventCall) -> Option<Self> {
        /// Types below this number are hardware, software, tracepoint and similar events.
        const PERF_TYPE_MAX: u32 = 6;
        let mut attr = Attr {
            kind: 0,
            size: 0,
            config: 0,
            others: [0; 5],
            config1: 0,
            config2: 0,
            rest: [0; 55],
        };
        copy(call.attr, &mut attr, 8)?;
        if attr.kind < PERF_TYPE_MAX {
            return None;
        }
        let pmu = Pmu::find().filter(|pmu| pmu.kind == attr.kind)?;
        let len = if attr.size == 0 { SMALLEST } else { attr.size as usize };
        if len < SMALLEST {
            return None;
        }
        copy(call.attr, &mut attr, len)?;
        if attr.config1 == 0 || attr.config2 != 0 {
            return None;
        }
        let symbol = read_name(attr.config1 as usize)?;
        let form = Form::of(symbol.as_bytes())?;
        let retprobe = attr.config & pmu.config(true) != 0;
        let keeps_names = variable(c"KSYSCALL_KEEP_NAMES").is_some();
        (!keeps_names).then_some(Self { call, attr, retprobe, symbol, form })
    }

    /// Returns whether the kernel refused a probe because the function does not exist.
    fn is_missing(&self, symbol: &Symbol, errno: Errno) -> bool {
        match errno.0 {
            libc::ENOENT => true,
            libc::EINVAL if self.retprobe => !requested::has_function(symbol),
            _ => false,
        }
    }

    /// Opens the probe on the function that serves the call.
    fn open_serving(&self) -> Option<(Fd, Symbol)> {
        let mut event = None;
        let found = requested::find_function(&self.form.call, &mut |symbol| {
            // Close the event that was opened for an earlier candidate.
            event = None;
            let config1 = symbol.as_c_str().as_ptr() as usize as u64;
            let attr = Attr { config1, ..self.attr };
            match (PerfEventCall { attr: &raw const attr as usize, ..self.call }).make() {
                Ok(fd) => {
                    // SAFETY: the kernel has just opened the descriptor for this function.
                    event = Some(unsafe { Fd::from_raw(fd as i32) });
                    Ok(true)
                }
                Err(errno) if self.is_missing(symbol, errno) => Ok(false),
                Err(Errno(errno)) => {
                    Err(Error::PerfEvent { symbol: *symbol, retprobe: self.retprobe, errno })
                }
            }
        });
        // A program written for wrappers would read garbage at a function without a wrapper.
        // Loaders also probe the name of a wrapper to detect whether the kernel has wrappers.
        let symbol = found.ok()?;
        event
            .filter(|_| symbol.as_bytes().starts_with(self.form.prefix.as_bytes()))
            .map(|event| (event, symbol))
    }
}

/// Copies `len` bytes from a program's memory. Returns None if the bytes cannot be read, or if
/// `attr` has no room for them.
fn copy(address: usize, attr: &mut Attr, len: usize) -> Option<()> {
    let last = address.checked_add(len.checked_sub(1)?)?;
    // This number of bytes spans at most two pages.
    let is_readable =
        len <= size_of::<Attr>() && sys::is_readable(address) && sys::is_readable(last);
    // SAFETY: all bytes are readable, there is room for them, and any bytes are valid for the type.
    is_readable.then(|| unsafe {
        core::ptr::copy_nonoverlapping(address as *const u8, (&raw mut *attr).cast(), len);
    })
}

/// Reads a function's name. Returns None if the name cannot be read, or is too long to be the name
/// of a syscall function.
fn read_name(address: usize) -> Option<Symbol> {
    /// The smallest page size of any architecture.
    const PAGE: usize = 4096;
    let mut name = Text::<{ Symbol::MAX_LEN + 2 }>::new();
    for address in address..address.checked_add(Symbol::MAX_LEN + 1)? {
        if (name.as_bytes().is_empty() || address % PAGE == 0) && !sys::is_readable(address) {
            return None;
        }
        // SAFETY: the kernel has confirmed that the byte's page is readable.
        match unsafe { (address as *const u8).read() } {
            0 => return Some(Symbol::new(name.as_bytes(), b"", b"")),
            byte => name.push(byte),
        }
    }
    None
}

/// Prints a warning that a probe was moved, once for each function.
fn warn(probe: &Probe, function: Symbol) {
    if function == probe.symbol
        || !REMEMBERED.is_first_warning_of(probe.symbol.as_bytes())
        || variable(c"KSYSCALL_QUIET").is_some()
    {
        return;
    }
    let warning = Warning::Moved { function, call: probe.form.call };
    let mut text = Text::<512>::new();
    let _ = write!(text, "libksyscall: kprobe '{}': {warning}", probe.symbol);
    text.end_with(b'\n');
    sys::print_error(text.as_bytes());
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::ffi::CString;
    use std::sync::LazyLock;

    use super::*;
    use crate::sys::fake::{Answer, Event, Kernel, refused};

    /// Parses the table independently. Maps each call to its functions, and each alias to the name
    /// that it stands for.
    static TABLE: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
        let lines = include_str!("../calls/tables/x86_64.tbl").lines();
        let lines = lines.filter(|line| !line.starts_with('#'));
        let row = |line: &str| {
            let mut words = line.split('|').next().unwrap().split_whitespace();
            let call = words.next().unwrap().split(['?', '@']).next().unwrap().to_owned();
            // Skip functions that exist only in older kernels.
            let functions = words.filter(|word| !word.contains("@<"));
            let mut functions: Vec<_> =
                functions.map(|word| word.split('@').next().unwrap().to_owned()).collect();
            match functions.first().map(String::as_str) {
                None if !line.contains(" -") => functions.push(format!("sys_{call}")),
                Some("-") => functions.clear(),
                _ => {}
            }
            (call, functions)
        };
        lines.map(row).collect()
    });

    static SERVED: LazyLock<BTreeSet<String>> =
        LazyLock::new(|| TABLE.values().flatten().cloned().collect());

    /// The functions of a kernel with wrappers.
    static FUNCTIONS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let served = TABLE.values().flatten().filter(|name| !name.starts_with('='));
        let others =
            ["stat", "uname", "uselib", "brand_new"].map(|name| format!("__x64_sys_{name}"));
        let plain = ["__se_sys_openat", "sys_fillrect", "vfs_read"].map(str::to_owned);
        served.map(|name| format!("__x64_{name}")).chain(others).chain(plain).collect()
    });

    fn wrapped(name: &str, _: bool, _: usize) -> Answer {
        if FUNCTIONS.contains(name) { Ok(20) } else { refused(libc::ENOENT) }
    }

    /// Returns the function on which a probe on `name` must be opened, according to the rules at
    /// the top of this file.
    fn expected(name: &str) -> String {
        let forms = ["__x64_sys_", "__se_sys_", "SyS_", "sys_"];
        let Some(call) = forms.iter().find_map(|form| name.strip_prefix(form)) else {
            return name.to_owned();
        };
        let is_there = FUNCTIONS.contains(name);
        let row = TABLE.get(call).or_else(|| TABLE.get(call.strip_prefix("sys_")?));
        if is_there && (row.is_none() || SERVED.contains(&format!("sys_{call}"))) {
            return name.to_owned();
        }
        let own = vec![format!("sys_{call}")];
        let row = row.map_or(&own, |row| match row.first() {
            Some(other) if other.starts_with('=') => &TABLE[&other[1..]],
            _ => row,
        });
        let symbols = row.iter().map(|function| format!("__x64_{function}"));
        symbols.into_iter().find(|it| FUNCTIONS.contains(it)).unwrap_or(name.to_owned())
    }

    /// A generator of pseudorandom numbers that are the same in every run (xorshift64).
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self) -> u64 {
            for shift in [13, -7, 17] {
                self.0 ^= if shift > 0 { self.0 << shift } else { self.0 >> -shift };
            }
            self.0
        }

        fn below(&mut self, end: usize) -> usize {
            (self.next() % end as u64) as usize
        }

        fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
            &of[self.below(of.len())]
        }
    }

    fn attr(kind: u32, size: u32, config: u64, name: u64, offset: u64) -> Vec<u8> {
        let mut attr = vec![0; 1024];
        attr[..4].copy_from_slice(&kind.to_ne_bytes());
        attr[4..8].copy_from_slice(&size.to_ne_bytes());
        for (at, word) in [(8, config), (56, name), (64, offset)] {
            attr[at..at + 8].copy_from_slice(&word.to_ne_bytes());
        }
        attr
    }

    /// Opens a probe on the function `name`. The returned fake kernel lists the events that were
    /// opened.
    fn open_on(
        kprobe: fn(&str, bool, usize) -> Answer,
        name: &str,
        retprobe: bool,
    ) -> (Answer, Kernel) {
        let name = CString::new(name).unwrap();
        let attr = attr(8, 72, retprobe.into(), name.as_ptr() as u64, 0);
        let kernel = Kernel { kprobe, events: Some(Vec::new()), ..Kernel::new() };
        let call =
            PerfEventCall { attr: attr.as_ptr() as usize, pid: 1, cpu: 2, group_fd: 3, flags: 8 };
        kernel.run_and_return(|| open(call))
    }

    fn names(kernel: &Kernel) -> Vec<&str> {
        kernel.events.iter().flatten().map(|event| event.name.as_deref().unwrap_or("")).collect()
    }

    #[test]
    fn all_but_names_of_calls_pass_unchanged() {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        let calls: Vec<_> = TABLE
            .keys()
            .map(String::as_str)
            .chain(["brand_new", "none", "newer", "sys_stat"])
            .collect();
        let prefixes = [
            "__x64_sys_",
            "__x64_sys_",
            "__se_sys_",
            "SyS_",
            "sys_",
            "__ia32_sys_",
            "__arm64_sys_",
            "",
        ];
        let others = [
            "vfs_read",
            "sys_fillrect",
            "__x64_sys_",
            "__x64_sys_STAT",
            "__x64_sys_stat+8",
            "__x64_sys_SYS_stat",
            "",
            "do_sys_openat2",
        ];
        let sizes = [72, 72, 72, 0, 64, 80, 112, 136, 512, 513, 1024, 63, 8, 1];
        let mut moved = BTreeSet::new();
        for _ in 0..100_000 {
            let name = match numbers.below(8) {
                0 => (*numbers.one(&others)).to_owned(),
                1 => format!("__x64_sys_{}", "x".repeat(numbers.below(200))),
                _ => format!("{}{}", numbers.one(&prefixes), numbers.one(&calls)),
            };
            let name = CString::new(name).unwrap();
            let kind = *numbers.one(&[8, 8, 8, 0, 1, 2, 5, 6, 7, 9, u32::MAX]);
            let config1 = *numbers.one(&[
                name.as_ptr() as u64,
                name.as_ptr() as u64,
                name.as_ptr() as u64,
                0,
                8,
            ]);
            let offset = if numbers.below(4) == 0 { numbers.next() } else { 0 };
            let size = *numbers.one(&sizes);
            let mut attr = attr(kind, size, numbers.next(), config1, offset);
            for at in (16..56).chain(72..attr.len()) {
                attr[at] = numbers.next() as u8;
            }
            let before = attr.clone();
            let others = [(); 4].map(|()| numbers.next() as usize);
            let address =
                if numbers.below(64) == 0 { numbers.below(4096) } else { attr.as_ptr() as usize };
            let [pid, cpu, group_fd, flags] = others;
            let kernel = Kernel { kprobe: wrapped, events: Some(Vec::new()), ..Kernel::new() };
            let (answer, kernel) = kernel.run_and_return(|| {
                open(PerfEventCall { attr: address, pid, cpu, group_fd, flags })
            });
            assert_eq!(attr, before);
            // Record what the kernel receives without the library.
            let plain = Kernel { kprobe: wrapped, events: Some(Vec::new()), ..Kernel::new() };
            let (plain_answer, plain) = plain.run_and_return(|| {
                PerfEventCall { attr: address, pid, cpu, group_fd, flags }.make()
            });
            let plain = plain.events.unwrap().remove(0);
            let mut events = kernel.events.unwrap();
            let may_move = kind == 8
                && address >= 4096
                && [0].into_iter().chain(64..=512).any(|it| it == size)
                && (offset == 0 || matches!(size, 0 | 64));
            let to = plain.name.as_deref().filter(|_| may_move).map(expected);
            if to == plain.name || to.is_none() {
                assert_eq!(answer, plain_answer);
                assert!(events.contains(&plain), "{events:?}");
            } else {
                let last = events.pop().unwrap();
                assert_eq!((last.name.clone(), answer), (to, Ok(20)), "{name:?}");
                assert_eq!(last.others, others);
                let same = |event: &Event| [event.attr[..56].to_vec(), event.attr[64..].to_vec()];
                assert_eq!(same(&last), same(&plain));
                moved.insert(name);
            }
        }
        assert!(moved.len() > 100, "{moved:?}");
    }

    #[test]
    fn a_call_by_its_own_functions_name_is_one_call_of_the_kernel() {
        for name in ["__x64_sys_newstat", "__x64_sys_umount", "__x64_sys_uselib", "vfs_read"] {
            let (answer, kernel) = open_on(wrapped, name, false);
            assert_eq!((answer, names(&kernel)), (Ok(20), vec![name]));
        }
    }

    #[test]
    fn a_function_that_no_call_reaches_is_not_probed() {
        for (name, serving) in
            [("__x64_sys_stat", "__x64_sys_newstat"), ("__x64_sys_uname", "__x64_sys_newuname")]
        {
            let (answer, kernel) = open_on(wrapped, name, true);
            assert_eq!((answer, names(&kernel)), (Ok(20), vec![serving]));
        }
        let (answer, kernel) = open_on(wrapped, "__x64_sys_umount2", false);
        assert_eq!((answer, names(&kernel)), (Ok(20), vec!["__x64_sys_umount"]));
    }

    /// Loaders probe the name of a wrapper to detect whether the kernel has wrappers.
    #[test]
    fn the_name_of_a_wrapper_never_leads_to_a_plain_function() {
        let plain = |name: &str, _: bool, _: usize| {
            if ["sys_bpf", "sys_newstat"].contains(&name) { Ok(20) } else { refused(libc::ENOENT) }
        };
        let (answer, kernel) = open_on(plain, "__x64_sys_bpf", false);
        assert_eq!(answer, refused(libc::ENOENT));
        // The probe that was opened during the search is closed.
        assert_eq!(names(&kernel).last(), Some(&"sys_bpf"));
        assert_eq!(kernel.calls.last().map(String::as_str), Some("close 20"));
        let (answer, kernel) = open_on(plain, "__se_sys_stat", false);
        assert_eq!((answer, names(&kernel).last()), (Ok(20), Some(&"sys_newstat")));
    }

    /// Linux 5.10 returns EINVAL for a return probe on a symbol that does not exist.
    #[test]
    fn a_return_probe_that_is_refused_with_einval_may_be_on_a_missing_function() {
        let old = |name: &str, retprobe: bool, _: usize| match wrapped(name, retprobe, 0) {
            Err(_) if retprobe => refused(libc::EINVAL),
            answer => answer,
        };
        let (answer, kernel) = open_on(old, "__se_sys_stat", true);
        assert_eq!((answer, names(&kernel).last()), (Ok(20), Some(&"__x64_sys_newstat")));
    }

    #[test]
    fn a_refusal_for_another_reason_is_the_kernels_answer() {
        for name in ["__x64_sys_stat", "__x64_sys_newstat"] {
            let (answer, kernel) = open_on(|_, _, _| refused(libc::EPERM), name, false);
            assert_eq!((answer, names(&kernel).last()), (refused(libc::EPERM), Some(&name)));
        }
    }
}
