//! Whose calls are meant: a 64-bit kernel serves its 32-bit processes by other functions
//! than its own, which the 32-bit architecture's table has.

#[cfg(feature = "std")]
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::conventions::{COMPAT_CONVENTIONS, Convention, Doubt, Symbol, X32_CONVENTIONS};
use super::name::SyscallName;
use super::table::{self, Column, Row};
use crate::refusal::{Place, Refusal};

/// The table of the 32-bit processes, packed; empty where none is known.
const TABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/compat_table"));

/// The calls for which x32 processes have functions of their own, packed; empty elsewhere.
const X32_TABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/x32_table"));

/// Whose calls a program is to see.
///
/// On a 64-bit kernel 32-bit processes enter by other kernel functions than 64-bit ones, and
/// so does a 64-bit process by `int $0x80` on x86_64. Their table of calls is that of the
/// 32-bit architecture: `mmap2` and `socketcall` are calls there only, and `stat` is
/// another one than in 64 bits. A name is taken as such a process means it.
///
/// Known are i386 on x86_64, 32-bit Arm on arm64, and 32-bit POWER, which is not tested.
/// x32 on x86_64 (`CONFIG_X86_X32_ABI`, which no kernel of Debian's has that is tested here) is
/// entered by any 64-bit process that puts `__X32_SYSCALL_BIT` into a call's number. It shares
/// most functions with 64-bit processes, so that [`Callers::Native`] sees it; most calls from 512
/// on have functions of their own (arch/x86/entry/syscalls/syscall_64.tbl; since Linux 4.17 they
/// are not those of i386's), which count as those of 32-bit callers.
///
/// Before Linux 4.17 the functions of system calls call each other: `sys_lchown16`, which serves a
/// 32-bit `lchown`, calls `sys_lchown`. There [`Callers::All`] makes the program run twice for such
/// a call, and [`Callers::Native`] once (docs/compatibility.md).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(not(feature = "std"), allow(dead_code, unreachable_pub))]
pub enum Callers {
    /// Those of this process's architecture.
    #[default]
    Native,
    /// 32-bit ones. Where one function serves both, as it does every call without arguments
    /// on x86_64 (`getpid`), the program runs for native ones, too: `KSYSCALL_IS_COMPAT` of
    /// ksyscall.bpf.h tells in the program who calls.
    Compat,
    /// Both.
    All,
}

/// A side from which calls come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Native,
    Compat,
    /// x32 processes, where they have a function of their own.
    X32,
}

/// The most sides that a call can have.
#[cfg_attr(not(feature = "ext"), allow(dead_code))]
pub(crate) const SIDES: usize = 3;

impl Callers {
    /// From where these callers can make the call, each by a function of its own.
    pub(crate) fn sides(self, name: &SyscallName) -> &'static [Side] {
        let has_x32 = || x32_row(name).is_known;
        match self {
            Callers::Native => &[Side::Native],
            Callers::Compat if has_x32() => &[Side::Compat, Side::X32],
            Callers::Compat => &[Side::Compat],
            Callers::All if has_x32() => &[Side::Native, Side::Compat, Side::X32],
            Callers::All => &[Side::Native, Side::Compat],
        }
    }
}

/// The row of the call `name` as x32 processes alone have it, if they do. Its name is what
/// 64-bit ones mean by it, unless that is another spelling and a call of i386's.
pub(crate) fn x32_row(name: &SyscallName) -> Row {
    let (native, compat) = (table::row(name), table::row_in(TABLE, name.as_bytes()));
    let is_of_i386 = compat.is_known && compat.name() == name.as_bytes();
    let name = if is_of_i386 { compat.name() } else { native.name() };
    table::row_in(X32_TABLE, name)
}

/// The row of the call `name`, as native callers mean it when others are meant, too.
pub(crate) fn native_row(name: &SyscallName) -> Result<Row, Refusal> {
    native_row_in(table::row(name), TABLE, name)
}

/// The row of the call `name`, as 32-bit callers mean it.
///
/// # Errors
/// [`Refusal::NoCompatCall`] if they have none; [`Refusal::CallersUnknown`].
pub(crate) fn compat_row(name: &SyscallName) -> Result<Row, Refusal> {
    if COMPAT_CONVENTIONS.is_empty() {
        return Err(Refusal::CallersUnknown);
    }
    compat_row_in(TABLE, &table::row(name), name)
}

/// A name that no table knows may be a new call's; but not one that the other table knows.
fn native_row_in(row: Row, compat: &[u8], name: &SyscallName) -> Result<Row, Refusal> {
    let is_foreign = !row.is_known && table::row_in(compat, name.as_bytes()).is_known;
    if is_foreign { Err(Refusal::NotFound) } else { Ok(row) }
}

fn compat_row_in(compat: &[u8], native: &Row, name: &SyscallName) -> Result<Row, Refusal> {
    let row = table::row_in(compat, name.as_bytes());
    let is_foreign = !row.is_known && native.is_known;
    if is_foreign || !row.is_in(Column::Compat) { Err(Refusal::NoCompatCall) } else { Ok(row) }
}

/// Every call that these callers have in any version of the kernel, in alphabetical order,
/// with those of them that have it.
#[cfg(feature = "std")]
pub(crate) fn calls(callers: Callers) -> Vec<(SyscallName, Callers)> {
    let mut calls = Vec::new();
    if callers != Callers::Compat {
        table::for_each_call(&mut |name| calls.push((name, Callers::Native)));
    }
    if callers != Callers::Native {
        table::for_each_row(TABLE, &mut |row| {
            let name = SyscallName::checked(row.name()).filter(|_| row.is_in(Column::Compat));
            calls.extend(name.map(|name| (name, Callers::Compat)));
            false
        });
    }
    calls.sort_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
    calls.dedup_by(|later, earlier| {
        let is_same = later.0 == earlier.0;
        if is_same {
            earlier.1 = Callers::All;
        }
        is_same
    });
    calls
}

/// Which of some conventions the running kernel has.
pub(crate) struct LearntConvention {
    all: &'static [Convention],
    /// The number of one of them, or [`UNKNOWN`] or [`NONE`].
    known: AtomicUsize,
}

const UNKNOWN: usize = usize::MAX;
const NONE: usize = UNKNOWN - 1;

impl LearntConvention {
    pub(crate) const fn of_compat() -> Self {
        Self { all: COMPAT_CONVENTIONS, known: AtomicUsize::new(UNKNOWN) }
    }

    pub(crate) const fn of_x32() -> Self {
        Self { all: X32_CONVENTIONS, known: AtomicUsize::new(UNKNOWN) }
    }

    /// That of the kernel, by its anchor, which it is asked for until it has been found.
    fn find<T>(
        &self,
        place: &mut Place,
        probe: &mut impl FnMut(&Symbol, Doubt) -> Result<Option<T>, Refusal>,
    ) -> Result<Option<&'static Convention>, Refusal> {
        let known = self.known.load(Ordering::Relaxed);
        if let (NONE, found) | (_, found @ Some(_)) = (known, self.all.get(known)) {
            return Ok(found);
        }
        for (index, convention) in self.all.iter().enumerate() {
            place.symbol = Symbol::new(convention.anchor.as_bytes(), b"", b"");
            if probe(&place.symbol, Doubt::None)?.is_some() {
                self.known.store(index, Ordering::Relaxed);
                return Ok(Some(convention));
            }
        }
        Ok(None)
    }
}

/// Tries the symbols that may serve the call of the row to 32-bit callers, as
/// [`search`](super::search::search) does for native ones.
///
/// # Errors
/// [`Refusal::NotFound`] if the kernel has none of them, [`Refusal::NoCompatCallers`] if it
/// serves none at all, and what `probe` fails with.
pub(crate) fn search<T>(
    row: &Row,
    learnt: &LearntConvention,
    place: &mut Place,
    mut probe: impl FnMut(&Symbol, Doubt) -> Result<Option<T>, Refusal>,
) -> Result<T, Refusal> {
    let convention = learnt.find(place, &mut probe)?;
    let convention = convention.ok_or(Refusal::NoCompatCallers { is_off: false })?;
    search_in(convention, row, place, probe)
}

/// The same for the function that x32 processes alone have. Without one the place stays as it
/// was.
///
/// # Errors
/// [`Refusal::NoCompatCall`], and what `probe` fails with.
pub(crate) fn search_x32<T>(
    row: &Row,
    learnt: &LearntConvention,
    place: &mut Place,
    mut probe: impl FnMut(&Symbol, Doubt) -> Result<Option<T>, Refusal>,
) -> Result<T, Refusal> {
    let mut there = *place;
    let found = match learnt.find(&mut there, &mut probe)? {
        Some(convention) => search_in(convention, row, &mut there, probe),
        None => {
            // Most kernels have no x32: they are not to be asked for each call.
            learnt.known.store(NONE, Ordering::Relaxed);
            Err(Refusal::NotFound)
        }
    };
    match found {
        Err(Refusal::NotFound) => Err(Refusal::NoCompatCall),
        found => {
            *place = there;
            found
        }
    }
}

fn search_in<T>(
    convention: &Convention,
    row: &Row,
    place: &mut Place,
    mut probe: impl FnMut(&Symbol, Doubt) -> Result<Option<T>, Refusal>,
) -> Result<T, Refusal> {
    for symbol in convention.symbols(row) {
        place.symbol = symbol;
        place.tried.add(&symbol);
        if let Some(found) = probe(&symbol, convention.doubt(&symbol, row))? {
            return Ok(found);
        }
    }
    Err(Refusal::NotFound)
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::resolve::oracle::joined;
    use crate::resolve::version::{LATEST, Version};

    fn name(name: &str) -> SyscallName {
        SyscallName::new(name).unwrap()
    }

    /// The functions of 32-bit callers.
    fn compat(call: &str) -> Result<Vec<String>, Refusal> {
        let row = compat_row(&name(call))?;
        let functions = (0..).map_while(|rank| row.function(Column::Compat, rank));
        Ok(functions.map(joined).collect())
    }

    /// arch/x86/entry/syscalls/syscall_32.tbl of Linux 6.12: its last columns.
    #[test]
    fn names_are_those_of_the_32_bit_table() {
        for (call, function) in [
            ("stat", "compat_sys_newstat"),
            ("oldstat", "sys_stat"),
            ("stat64", "compat_sys_ia32_stat64"),
            ("mmap", "compat_sys_ia32_mmap"),
            ("mmap2", "sys_mmap_pgoff"),
            ("select", "compat_sys_old_select"),
            ("_newselect", "compat_sys_select"),
            ("socketcall", "compat_sys_socketcall"),
            ("_llseek", "sys_llseek"),
            ("getuid", "sys_getuid16"),
            ("getuid32", "sys_getuid"),
            ("execve", "compat_sys_execve"),
            ("openat", "compat_sys_openat"),
            ("read", "sys_read"),
        ] {
            assert!(compat(call).unwrap().contains(&function.to_owned()), "{call}");
        }
    }

    #[test]
    fn what_one_table_alone_has_is_no_call_of_the_others_callers() {
        // A 64-bit kernel does not have it.
        assert!(matches!(compat("vm86"), Err(Refusal::NoCompatCall)));
        // It is new in both.
        assert_eq!(compat("brand_new").unwrap(), ["sys_brand_new"]);
        assert!(native_row(&name("brand_new")).is_ok());
        // Of 32 bits alone, and not of the 64-bit table.
        assert!(matches!(native_row(&name("readdir")), Err(Refusal::NotFound)));
        assert!(compat("readdir").is_ok());
        assert!(!native_row(&name("socketcall")).unwrap().is_served());
    }

    #[test]
    fn all_calls_are_those_of_both_tables_and_each_once() {
        let all = calls(Callers::All);
        let of = |callers| all.iter().filter(move |call| call.1 == callers).map(|call| call.0);
        let names = |calls: Vec<(SyscallName, Callers)>| calls.into_iter().map(|call| call.0);
        let mut native: Vec<_> = of(Callers::Native).chain(of(Callers::All)).collect();
        let mut compat: Vec<_> = of(Callers::Compat).chain(of(Callers::All)).collect();
        native.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        compat.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        assert!(names(calls(Callers::Native)).eq(native));
        assert!(names(calls(Callers::Compat)).eq(compat));
        let has = |call: &str, callers| all.contains(&(name(call), callers));
        assert!(has("openat", Callers::All) && has("socketcall", Callers::Compat));
        // As other spellings 64-bit callers have these, too; but that is another call.
        assert!(has("_llseek", Callers::Compat) && has("umount", Callers::Compat));
        assert!(!all.iter().any(|call| call.0 == name("vm86")));
    }

    /// The symbols of `openat` that are asked for on a kernel with those.
    fn search_for_openat(
        learnt: &LearntConvention,
        symbols: &[&str],
    ) -> (Result<String, Refusal>, Vec<String>) {
        let mut asked = Vec::new();
        let openat = name("openat");
        let mut place = Place::of(openat, false);
        let row = compat_row(&openat).unwrap();
        let found = search(&row, learnt, &mut place, |symbol, _| {
            asked.push(symbol.to_string());
            Ok(symbols.contains(&symbol.as_str()).then(|| symbol.to_string()))
        });
        (found, asked)
    }

    #[test]
    fn the_kernels_convention_is_asked_for_until_it_is_known() {
        const WRAPPED: &[&str] = &["__ia32_compat_sys_ioctl", "__ia32_compat_sys_openat"];
        let learnt = LearntConvention::of_compat();
        // The kernel has none of that: no symbol of native callers is taken in its place.
        let (found, asked) = search_for_openat(&learnt, &["sys_openat", "__x64_sys_openat"]);
        assert!(matches!(found, Err(Refusal::NoCompatCallers { is_off: false })));
        assert_eq!(asked, ["__ia32_compat_sys_ioctl", "compat_sys_ioctl"]);
        let (found, asked) = search_for_openat(&learnt, WRAPPED);
        assert_eq!((found.unwrap().as_str(), asked.len()), ("__ia32_compat_sys_openat", 2));
        let (_, asked) = search_for_openat(&learnt, WRAPPED);
        assert_eq!(asked, ["__ia32_compat_sys_openat"]);
        let (found, asked) = search_for_openat(&learnt, &["compat_sys_openat"]);
        assert!(matches!(found, Err(Refusal::NotFound)), "{asked:?}");
        let plain = ["compat_sys_ioctl", "compat_sys_openat", "sys_openat"];
        let (found, _) = search_for_openat(&LearntConvention::of_compat(), &plain);
        assert_eq!(found.unwrap(), "compat_sys_openat");
    }

    /// The function that serves a call to 32-bit processes in a kernel of that version with those
    /// symbols, and with wrappers.
    fn found_in(version: Version, call: &str, symbols: &[&str]) -> Result<String, Refusal> {
        let row = compat_row(&name(call))?.in_version(|| version);
        let mut place = Place::of(name(call), false);
        search(&row, &LearntConvention::of_compat(), &mut place, |symbol, doubt| {
            let is_stub = doubt == Doubt::MayBeStub && symbol.as_str().contains("lookup_dcookie");
            let symbols = [symbols, &["__ia32_compat_sys_ioctl"]].concat();
            let is_there = symbols.contains(&symbol.as_str()) && !is_stub;
            Ok(is_there.then(|| symbol.to_string()))
        })
    }

    /// The last columns of arch/x86/entry/syscalls/syscall_32.tbl of these versions. Each has
    /// both functions.
    #[test]
    fn the_version_decides_between_functions_that_are_both_there() {
        let compat = |call: &str| format!("__ia32_compat_sys_{call}");
        let native = |call: &str| format!("__ia32_sys_{call}");
        for (call, until, is_compat_before) in [
            ("setsockopt", (5, 9), true),
            ("getsockopt", (5, 9), true),
            ("process_vm_readv", (5, 10), true),
            ("process_vm_writev", (5, 10), true),
            ("rt_sigprocmask", (5, 4), false),
            ("rt_sigsuspend", (5, 4), false),
        ] {
            let symbols = [compat(call), native(call)];
            let symbols = symbols.each_ref().map(|symbol| symbol.as_str());
            let [before, after] = match is_compat_before {
                true => [compat(call), native(call)],
                false => [native(call), compat(call)],
            };
            let (major, minor) = until;
            for (version, expected) in [
                ((4, 18), &before),
                ((major, minor - 1), &before),
                (until, &after),
                (LATEST, &after),
            ] {
                let found = found_in(version, call, &symbols).unwrap();
                assert_eq!(found, *expected, "{version:?}");
            }
        }
    }

    /// arch/x86/ia32/ia32_signal.c of Linux 5.3 and 5.4.
    #[test]
    fn functions_that_have_no_wrapper_have_no_prefix() {
        for call in ["sigreturn", "rt_sigreturn"] {
            let old = format!("sys32_{call}");
            assert_eq!(found_in((4, 18), call, &[&old]).unwrap(), old);
            let new = format!("__ia32_compat_sys_{call}");
            assert_eq!(found_in((5, 4), call, &[&new]).unwrap(), new);
        }
        let symbols = ["__x32_compat_sys_ioctl", "sys32_x32_rt_sigreturn"];
        let (found, _) = search_for_x32("rt_sigreturn", &LearntConvention::of_x32(), &symbols);
        assert_eq!(found.unwrap(), "sys32_x32_rt_sigreturn");
    }

    /// arch/x86/entry/syscalls/syscall_32.tbl of Linux 5.0 and 5.1.
    #[test]
    fn calls_that_are_younger_for_32_bit_processes_are_not_those_of_others() {
        for call in ["semget", "shmdt", "clock_gettime64", "futex_time64"] {
            let functions = compat(call).unwrap();
            let symbols = functions.iter().map(|function| format!("__ia32_{function}"));
            let symbols: Vec<_> = symbols.collect();
            let symbols: Vec<_> = symbols.iter().map(String::as_str).collect();
            assert!(matches!(found_in((5, 0), call, &symbols), Err(Refusal::NotFound)), "{call}");
            assert_eq!(found_in((5, 1), call, &symbols).unwrap(), symbols[0]);
        }
    }

    /// `COND_SYSCALL_COMPAT` of arch/x86/include/asm/syscall_wrapper.h.
    #[test]
    fn stubs_of_32_bit_calls_were_shared_before_5_7() {
        let symbols = ["__ia32_compat_sys_lookup_dcookie"];
        let absent = found_in((5, 6), "lookup_dcookie", &symbols);
        assert!(matches!(absent, Err(Refusal::NotFound)));
        assert_eq!(found_in((5, 7), "lookup_dcookie", &symbols).unwrap(), symbols[0]);
    }

    /// The function that is found of a call for x32 processes alone in a kernel with those
    /// symbols, and what is asked for.
    fn search_for_x32(
        call: &str,
        learnt: &LearntConvention,
        symbols: &[&str],
    ) -> (Result<String, Refusal>, Vec<String>) {
        let mut asked = Vec::new();
        let mut place = Place::of(name(call), false);
        let found = search_x32(&x32_row(&name(call)), learnt, &mut place, |symbol, _| {
            asked.push(symbol.to_string());
            Ok(symbols.contains(&symbol.as_str()).then(|| symbol.to_string()))
        });
        // What others tried is not to be lost.
        assert_eq!(
            found.is_err(),
            place.symbol == Symbol::EMPTY && place.tried.as_slice().is_empty()
        );
        (found, asked)
    }

    /// arch/x86/entry/syscalls/syscall_64.tbl of Linux 6.12 and 5.4: 512 to 547.
    #[test]
    fn x32_has_functions_of_its_own() {
        const NEW: &[&str] = &[
            "__x64_compat_sys_ioctl",
            "__x64_compat_sys_preadv64",
            "__x64_compat_sys_recvmmsg_time64",
            "__x64_compat_sys_rt_sigqueueinfo",
            "__x64_sys_readv",
        ];
        let learnt = LearntConvention::of_x32();
        for (call, function) in [
            ("ioctl", "ioctl"),
            ("preadv", "preadv64"),
            ("recvmmsg", "recvmmsg_time64"),
            // As 64-bit processes spell it.
            ("sigqueue", "rt_sigqueueinfo"),
        ] {
            let (found, _) = search_for_x32(call, &learnt, NEW);
            assert_eq!(found.unwrap(), format!("__x64_compat_sys_{function}"));
        }
        // That is the function of 64-bit processes.
        assert!(search_for_x32("readv", &learnt, NEW).0.is_err());
        let old = ["__x32_compat_sys_ioctl", "__x32_compat_sys_readv", "__x64_sys_readv"];
        let (found, _) = search_for_x32("readv", &LearntConvention::of_x32(), &old);
        assert_eq!(found.unwrap(), "__x32_compat_sys_readv");
    }

    #[test]
    fn a_kernel_without_x32_is_asked_once() {
        let learnt = LearntConvention::of_x32();
        for asked in [2, 0] {
            let symbols = ["__x64_sys_ioctl", "__ia32_compat_sys_ioctl"];
            let (found, tries) = search_for_x32("ioctl", &learnt, &symbols);
            assert!(matches!(found, Err(Refusal::NoCompatCall)));
            assert_eq!(tries.len(), asked, "{tries:?}");
        }
    }

    #[test]
    fn calls_have_a_side_for_each_function() {
        let sides = |call: &str| {
            let of = |callers: Callers| callers.sides(&name(call)).len();
            [Callers::Native, Callers::Compat, Callers::All].map(of)
        };
        assert_eq!(sides("ioctl"), [1, 2, SIDES]);
        assert_eq!(sides("openat"), [1, 1, 2]);
        // For 64-bit processes that is rt_sigaction, and for 32-bit ones another call.
        assert_eq!(sides("sigaction"), [1, 1, 2]);
        assert_eq!(sides("rt_sigaction"), [1, 2, SIDES]);
    }
}
