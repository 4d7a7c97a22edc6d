//! Finds the kernel function that serves a call: tries each candidate symbol in turn.
//!
//! Each symbol found narrows down the naming conventions that the kernel may use. The search
//! remembers the remaining conventions, so later searches try fewer symbols. If every candidate of
//! a convention is missing, the search tries the convention's anchor, a symbol that every kernel
//! with this convention has. If the anchor exists, the kernel does not have the call, and the
//! search must not try names from other conventions. A missing symbol by itself proves nothing.

use alloc::vec::Vec;

use errno::Errno;

use crate::Error;
use crate::calls::abi::{self, Abi, Callers};
use crate::calls::conventions::{
    COMPAT_CONVENTIONS, CONVENTIONS, Convention, Conventions, Doubt, X32_CONVENTIONS,
};
use crate::calls::table::{self, COMPAT_TABLE, Column, Row, TABLE};
use crate::calls::version::LATEST;
use crate::calls::{SubCall, Symbol, SyscallName};
use crate::kernel::version::{update, version};
use crate::kernel::{Known, LEARNT, compat, stubs, tracefs};

/// Reports whether the kernel has the symbol and, unless the [`Doubt`] is `None`, whether the
/// symbol serves the call. An error ends the search, which then remembers nothing.
type Probe<'a> = dyn FnMut(&Symbol, Doubt) -> Result<bool, Error> + 'a;

/// Returns the row that `name` selects on this kernel for native callers.
pub(crate) fn native_row(name: &SyscallName) -> Row<'_> {
    in_this_version(table::row(name))
}

/// Returns the row that `name` selects on this kernel for callers that use `abi`. `callers` are all
/// callers that the call is requested for.
pub(super) fn row_on(abi: Abi, callers: Callers, name: &SyscallName) -> Result<Row<'_>, Error> {
    let no_call = || Error::NoCompatCall { name: *name };
    match abi {
        Abi::Native if callers == Callers::Native => Ok(native_row(name)),
        Abi::Native => abi::native_row(name)
            .map(in_this_version)
            .ok_or_else(|| Error::NotFound { name: *name, tried: Vec::new() }),
        Abi::Compat if COMPAT_CONVENTIONS.is_empty() => Err(Error::CallersUnknown),
        Abi::Compat => match abi::compat_row(name).map(in_this_version) {
            Some(row) if row.is_undecided() => Err(Error::UpdateUnknown { name: *name }),
            row => row.filter(|row| row.is_in(Column::Compat)).ok_or_else(no_call),
        },
        Abi::X32 => abi::x32_row(name).map(in_this_version).ok_or_else(no_call),
    }
}

/// Returns the sub-call through which callers that use `abi` make the call, if they can make the
/// call only through a multiplexer.
pub(super) fn multiplexer_on(abi: Abi, name: &SyscallName) -> Option<SubCall> {
    let (table, column) = match abi {
        Abi::Native => (TABLE, Column::Native),
        Abi::Compat => (COMPAT_TABLE, Column::Compat),
        Abi::X32 => return None,
    };
    let sub_call = SubCall::of_table(table, column, name)?;
    let is_served = in_this_version(table::row_in(table, name.as_str())).is_in(column);
    (!is_served).then_some(sub_call)
}

pub(super) fn in_this_version(row: Row<'_>) -> Row<'_> {
    row.in_version(|| version().unwrap_or(LATEST)).in_update(update)
}

/// Finds the function that serves the call in `row` for callers that use `abi`: the first candidate
/// that exists and serves the call. The function is the last symbol passed to `probe`.
///
/// # Errors
/// Fails if the kernel lacks the call or if these callers cannot make it. An error from `probe` ends
/// the search and is returned.
pub(super) fn find_function(
    abi: Abi,
    name: &SyscallName,
    row: &Row,
    probe: &mut dyn FnMut(&Symbol) -> Result<bool, Error>,
) -> Result<Symbol, Error> {
    let probe: &mut Probe = &mut |symbol, doubt| {
        if doubt == Doubt::MayBeStub && stubs::is_known_stub(symbol) || !probe(symbol)? {
            return Ok(false);
        }
        match doubt {
            Doubt::None => Ok(true),
            Doubt::MayBeStub => stubs::is_stub(symbol)
                .map(|is_stub| !is_stub)
                .map_err(|Errno(errno)| Error::KernelSymbols { errno }),
            Doubt::MayBeNoCall => Ok(tracefs::has_tracepoint_of_call(row.name.as_bytes())),
        }
    };
    match abi {
        Abi::Native => find_native(name, row, &LEARNT.conventions, probe),
        Abi::Compat if compat::is_off() => Err(no_compat_callers(true)),
        Abi::Compat => find_compat(name, row, &LEARNT.compat, probe),
        Abi::X32 => find_x32(name, row, &LEARNT.x32, probe),
    }
}

/// Finds the function that serves native callers. `learnt` is the set of naming conventions that
/// the kernel may use.
///
/// # Errors
/// Returns [`Error::NotFound`] if the kernel has none of the symbols, or the error from `probe`.
pub(super) fn find_native(
    name: &SyscallName,
    row: &Row,
    learnt: &Known,
    probe: &mut Probe,
) -> Result<Symbol, Error> {
    let mut possible = learnt.get().map_or(Conventions::ALL, |set| Conventions(set as u8));
    let mut tried = Vec::new();
    for (index, convention) in CONVENTIONS.iter().enumerate() {
        if !possible.contains(index) {
            continue;
        }
        if let Some(symbol) = find_by(convention, row, &mut tried, probe)? {
            // If only one convention is left, there is nothing more to learn.
            if !learnt.get().is_some_and(usize::is_power_of_two) {
                keep(learnt, possible.that_have(&symbol, row));
            }
            return Ok(symbol);
        }
        if possible.without(index).is_empty() {
            continue;
        }
        let anchor = convention.anchor();
        if probe(&anchor, Doubt::None)? {
            possible = possible.only(|convention| convention.anchor() == anchor);
            keep(learnt, possible);
        } else {
            possible = possible.without(index);
        }
    }
    // A 32-bit process cannot detect in advance that its kernel is 64-bit.
    if row.is_undecided() {
        return Err(Error::UpdateUnknown { name: *name });
    }
    Err(Error::NotFound { name: *name, tried })
}

/// Remembers the naming conventions that the kernel may use. An empty set is ignored, because it
/// contradicts earlier results.
fn keep(learnt: &Known, set: Conventions) {
    if !set.is_empty() {
        learnt.set(set.0.into());
    }
}

/// Finds the function that serves 32-bit callers.
///
/// # Errors
/// Returns [`Error::NotFound`] if the kernel has none of the symbols, [`Error::NoCompatCallers`] if
/// the kernel serves no 32-bit callers at all, or the error from `probe`.
fn find_compat(
    name: &SyscallName,
    row: &Row,
    learnt: &Known,
    probe: &mut Probe,
) -> Result<Symbol, Error> {
    let Some(convention) = convention_of(COMPAT_CONVENTIONS, learnt, probe)? else {
        return Err(no_compat_callers(false));
    };
    let mut tried = Vec::new();
    find_by(convention, row, &mut tried, probe)?.ok_or(Error::NotFound { name: *name, tried })
}

/// Returns the error for a kernel that was booted (`is_off`) or built without support for 32-bit
/// callers.
fn no_compat_callers(is_off: bool) -> Error {
    let symbol = COMPAT_CONVENTIONS.last().map_or(Symbol::EMPTY, Convention::anchor);
    Error::NoCompatCallers { symbol, is_off }
}

/// Finds the function that serves only x32 callers.
///
/// # Errors
/// Returns [`Error::NoCompatCall`] or the error from `probe`.
fn find_x32(
    name: &SyscallName,
    row: &Row,
    learnt: &Known,
    probe: &mut Probe,
) -> Result<Symbol, Error> {
    let Some(convention) = convention_of(X32_CONVENTIONS, learnt, probe)? else {
        // Most kernels do not support x32. Remember this result so that later searches need no
        // probe.
        learnt.set(X32_CONVENTIONS.len());
        return Err(Error::NoCompatCall { name: *name });
    };
    find_by(convention, row, &mut Vec::new(), probe)?.ok_or(Error::NoCompatCall { name: *name })
}

/// Finds the kernel's convention by probing each convention's anchor, and remembers the convention.
/// If no anchor exists, nothing is remembered.
fn convention_of(
    conventions: &'static [Convention],
    learnt: &Known,
    probe: &mut Probe,
) -> Result<Option<&'static Convention>, Error> {
    if let Some(index) = learnt.get() {
        return Ok(conventions.get(index));
    }
    for (index, convention) in conventions.iter().enumerate() {
        if probe(&convention.anchor(), Doubt::None)? {
            learnt.set(index);
            return Ok(Some(convention));
        }
    }
    Ok(None)
}

/// Finds the first of the convention's symbols that serves the call in `row`. Skips the symbols in
/// `tried`, and adds the symbols that were tried without success.
///
/// Inlined because each attach calls this function: `make bench` counts 90 instructions fewer.
#[inline(always)]
fn find_by(
    convention: &Convention,
    row: &Row,
    tried: &mut Vec<Symbol>,
    probe: &mut Probe,
) -> Result<Option<Symbol>, Error> {
    for symbol in convention.symbols(row) {
        // Two conventions can share a symbol.
        if tried.contains(&symbol) {
            continue;
        }
        if probe(&symbol, convention.doubt(&symbol, row))? {
            return Ok(Some(symbol));
        }
        tried.try_reserve(1).map_err(|_| Error::NoMemory)?;
        tried.push(symbol);
    }
    Ok(None)
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::calls::version::Version;

    /// A fake kernel with a fixed list of symbols. The fake kernel records which symbols the search
    /// probes.
    struct Kernel {
        symbols: &'static [&'static str],
        /// Symbols that exist but do not serve the call. The fake kernel uses this list
        /// only for symbols that are passed with a [`Doubt`] other than `None`.
        stubs: &'static [&'static str],
        asked: Vec<String>,
        learnt: Known,
        version: Version,
    }

    impl Kernel {
        fn new(symbols: &'static [&'static str]) -> Self {
            Self {
                symbols,
                stubs: &[],
                asked: Vec::new(),
                learnt: Known::nothing(),
                version: LATEST,
            }
        }

        fn wrapped() -> Self {
            Self::new(&["__x64_sys_getpid", "__x64_sys_newstat", "sys_newstat", "sys_only_plain"])
        }

        fn plain() -> Self {
            Self::new(&["sys_getpid", "sys_newstat"])
        }

        fn search(&mut self, name: &str) -> Result<String, Error> {
            let name = SyscallName::new(name).unwrap();
            self.search_for(&name, &table::row(&name).in_version(|| self.version))
        }

        fn search_for(&mut self, name: &SyscallName, row: &Row) -> Result<String, Error> {
            self.asked.clear();
            let found = find_native(name, row, &self.learnt, &mut |symbol, doubt| {
                self.asked.push(symbol.to_string());
                let is_stub = doubt != Doubt::None && self.stubs.contains(&symbol.as_str());
                let is_there = self.symbols.contains(&symbol.as_str()) && !is_stub;
                Ok(is_there)
            });
            found.map(|symbol| symbol.to_string())
        }
    }

    #[test]
    fn an_existing_symbol_needs_one_probe() {
        let mut kernel = Kernel::wrapped();
        for _ in 0..2 {
            assert_eq!(kernel.search("stat").unwrap(), "__x64_sys_newstat");
            assert_eq!(kernel.asked, ["__x64_sys_newstat"]);
        }
    }

    #[test]
    fn plain_symbols_are_not_used_on_a_kernel_with_wrappers() {
        let mut kernel = Kernel::wrapped();
        assert!(matches!(kernel.search("only_plain"), Err(Error::NotFound { .. })));
        assert_eq!(kernel.asked, ["__x64_sys_only_plain", "__x64_sys_getpid"]);
        // The anchor is now known to exist, so the search does not probe it again.
        assert!(kernel.search("only_plain").is_err());
        assert_eq!(kernel.asked, ["__x64_sys_only_plain"]);
    }

    #[test]
    fn the_absence_of_wrappers_is_remembered() {
        let mut kernel = Kernel::plain();
        assert_eq!(kernel.search("stat").unwrap(), "sys_newstat");
        assert_eq!(kernel.asked, ["__x64_sys_newstat", "__x64_sys_getpid", "sys_newstat"]);
        assert_eq!(kernel.search("getpid").unwrap(), "sys_getpid");
        assert_eq!(kernel.asked, ["sys_getpid"]);
    }

    #[test]
    fn shared_stubs_count_as_missing() {
        let mut plain = Kernel::new(&["sys_getpid", "sys_mbind"]);
        plain.stubs = &["sys_mbind"];
        assert_eq!(plain.search("mbind").unwrap_err().errno(), libc::ENOENT);
        plain.stubs = &[];
        assert_eq!(plain.search("mbind").unwrap(), "sys_mbind");
        let mut wrapped = Kernel::new(&["__x64_sys_getpid", "__x64_sys_mbind"]);
        wrapped.stubs = &["__x64_sys_mbind"];
        assert_eq!(wrapped.search("mbind").unwrap(), "__x64_sys_mbind");
    }

    /// Source: `COND_SYSCALL` in arch/x86/include/asm/syscall_wrapper.h of Linux 5.3 and 5.4.
    #[test]
    fn kernels_with_wrappers_shared_their_stubs_before_5_4() {
        let mut kernel = Kernel::new(&["__x64_sys_getpid", "__x64_sys_mbind", "__x64_sys_uselib"]);
        kernel.stubs = &["__x64_sys_mbind", "__x64_sys_uselib"];
        let uselib = SyscallName::new("uselib").unwrap();
        for (version, is_separate) in [((4, 18), false), ((5, 3), false), ((5, 4), true)] {
            kernel.version = version;
            assert_eq!(kernel.search("mbind").is_ok(), is_separate, "{version:?}");
            // The C API accepts `sys_uselib`, although no system call reaches that kernel function.
            let mut row = table::row(&uselib).in_version(|| version);
            row.use_own_name();
            assert_eq!(kernel.search_for(&uselib, &row).is_ok(), is_separate, "{version:?}");
        }
    }

    #[test]
    fn unknown_plain_names_must_be_system_calls() {
        let mut kernel = Kernel::new(&["sys_getpid", "sys_fillrect", "sys_brand_new"]);
        kernel.stubs = &["sys_fillrect"];
        kernel.search("getpid").unwrap();
        assert_eq!(kernel.search("fillrect").unwrap_err().errno(), libc::ENOENT);
        assert_eq!(kernel.search("brand_new").unwrap(), "sys_brand_new");
        assert_eq!(kernel.asked, ["__se_sys_brand_new", "SyS_brand_new", "sys_brand_new"]);
        kernel.symbols = &["sys_getpid", "sys_brand_new", "__se_sys_brand_new"];
        assert_eq!(kernel.search("brand_new").unwrap(), "__se_sys_brand_new");
    }

    #[test]
    fn an_error_ends_the_search_and_nothing_is_remembered() {
        let mut kernel = Kernel::plain();
        let name = SyscallName::new("stat").unwrap();
        let refused = find_native(&name, &table::row(&name), &kernel.learnt, &mut |symbol, _| {
            assert_eq!(symbol.as_str(), "__x64_sys_newstat");
            Err(Error::Close { errno: libc::EPERM })
        });
        assert_eq!(refused.unwrap_err().errno(), libc::EPERM);
        assert_eq!(kernel.search("stat").unwrap(), "sys_newstat");
    }

    #[test]
    fn missing_symbols_prove_nothing() {
        let mut kernel = Kernel::new(&[]);
        assert!(kernel.search("stat").is_err());
        kernel.symbols = Kernel::wrapped().symbols;
        assert_eq!(kernel.search("stat").unwrap(), "__x64_sys_newstat");
    }

    #[test]
    fn calls_of_other_architectures_are_not_probed() {
        let mut kernel = Kernel::new(&["__x64_sys_socketcall", "__x64_sys_getpid"]);
        let error = kernel.search("socketcall").unwrap_err();
        assert_eq!(error.errno(), libc::ENOENT);
        assert!(error.to_string().contains("this architecture's system call table"), "{error}");
    }

    #[test]
    fn the_message_names_the_call_that_the_c_library_makes() {
        let mut kernel = Kernel::wrapped();
        let mut message = |call| kernel.search(call).unwrap_err().to_string();
        let sleep = message("sleep");
        assert!(sleep.contains("tried __x64_sys_sleep; glibc's sleep() calls"), "{sleep}");
        assert!(!sleep.contains("did you mean"), "{sleep}");
        assert!(!message("memfd_secret").contains("glibc"));
    }

    fn name(name: &str) -> SyscallName {
        SyscallName::new(name).unwrap()
    }

    /// Searches for `openat` on a kernel with `symbols`. Also returns the symbols that were probed.
    fn search_for_openat(learnt: &Known, symbols: &[&str]) -> (Result<String, Error>, Vec<String>) {
        let mut asked = Vec::new();
        let openat = name("openat");
        let row = abi::compat_row(&openat).unwrap();
        let found = find_compat(&openat, &row, learnt, &mut |symbol, _| {
            asked.push(symbol.to_string());
            Ok(symbols.contains(&symbol.as_str()))
        });
        (found.map(|symbol| symbol.to_string()), asked)
    }

    #[test]
    fn the_convention_is_probed_until_it_is_known() {
        const WRAPPED: &[&str] = &["__ia32_compat_sys_ioctl", "__ia32_compat_sys_openat"];
        let learnt = Known::nothing();
        // The kernel has no symbols for 32-bit callers. Symbols for native callers are no
        // substitute.
        let (found, asked) = search_for_openat(&learnt, &["sys_openat", "__x64_sys_openat"]);
        assert!(matches!(found, Err(Error::NoCompatCallers { is_off: false, .. })));
        assert_eq!(asked, ["__ia32_compat_sys_ioctl", "compat_sys_ioctl"]);
        let (found, asked) = search_for_openat(&learnt, WRAPPED);
        assert_eq!((found.unwrap().as_str(), asked.len()), ("__ia32_compat_sys_openat", 2));
        let (_, asked) = search_for_openat(&learnt, WRAPPED);
        assert_eq!(asked, ["__ia32_compat_sys_openat"]);
        let (found, asked) = search_for_openat(&learnt, &["compat_sys_openat"]);
        assert!(matches!(found, Err(Error::NotFound { .. })), "{asked:?}");
        let plain = ["compat_sys_ioctl", "compat_sys_openat", "sys_openat"];
        let (found, _) = search_for_openat(&Known::nothing(), &plain);
        assert_eq!(found.unwrap(), "compat_sys_openat");
    }

    /// Finds the function that serves a call for 32-bit processes, in a kernel of the given version
    /// that has wrappers and `symbols`.
    fn found_in(version: Version, call: &str, symbols: &[&str]) -> Result<String, Error> {
        found_in_update(version, None, call, symbols)
    }

    fn found_in_update(
        version: Version,
        update: Option<u64>,
        call: &str,
        symbols: &[&str],
    ) -> Result<String, Error> {
        let call = name(call);
        let row = abi::compat_row(&call).unwrap().in_version(|| version).in_update(|| update);
        if row.is_undecided() {
            return Err(Error::UpdateUnknown { name: call });
        }
        let found = find_compat(&call, &row, &Known::nothing(), &mut |symbol, doubt| {
            let is_stub = doubt == Doubt::MayBeStub && symbol.as_str().contains("lookup_dcookie");
            let symbols = [symbols, &["__ia32_compat_sys_ioctl"]].concat();
            let is_there = symbols.contains(&symbol.as_str()) && !is_stub;
            Ok(is_there)
        });
        found.map(|symbol| symbol.to_string())
    }

    /// Source: the last columns of arch/x86/entry/syscalls/syscall_32.tbl in these versions. In
    /// each version, the kernel has both the `compat` function and the native function.
    #[test]
    fn the_version_decides_between_two_existing_functions() {
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

    /// Source: arch/x86/entry/syscalls/syscall_32.tbl in the stable releases.
    #[test]
    fn a_stable_update_decides_between_two_existing_functions() {
        let symbols = ["__ia32_compat_sys_io_pgetevents_time64", "__ia32_sys_io_pgetevents"];
        let [right, wrong] = symbols;
        let found = |call, version, update| found_in_update(version, update, call, &symbols);
        for (version, update, expected) in [
            ((5, 4), Some(286), wrong),
            ((5, 10), Some(220), wrong),
            ((5, 10), Some(221), right),
            ((5, 15), Some(135), wrong),
            ((6, 1), Some(97), right),
            ((6, 10), None, right),
        ] {
            let found = found("io_pgetevents_time64", version, update).unwrap();
            assert_eq!(found, expected, "{version:?} {update:?}");
        }
        let undecided = found("io_pgetevents_time64", (6, 1), None).unwrap_err();
        assert!(matches!(undecided, Error::UpdateUnknown { .. }), "{undecided}");
        assert!(undecided.to_string().contains("io_pgetevents_time64"), "{undecided}");
        let absent = found("io_pgetevents_time64", (5, 0), Some(21)).unwrap_err();
        assert!(matches!(absent, Error::NotFound { .. }), "{absent}");
        for (version, update, is_decided) in [
            ((4, 1), Some(15), false),
            ((4, 1), Some(52), true),
            ((4, 4), Some(155), true),
            ((4, 4), None, false),
            ((4, 8), None, true),
        ] {
            let keyctl = found("keyctl", version, update).unwrap_err();
            let is_refused = matches!(keyctl, Error::UpdateUnknown { .. });
            assert_eq!(is_refused, !is_decided, "{version:?} {update:?}");
        }
    }

    /// Source: arch/x86/ia32/ia32_signal.c in Linux 5.3 and 5.4.
    #[test]
    fn functions_without_a_wrapper_have_no_prefix() {
        for call in ["sigreturn", "rt_sigreturn"] {
            let old = format!("sys32_{call}");
            assert_eq!(found_in((4, 18), call, &[&old]).unwrap(), old);
            let new = format!("__ia32_compat_sys_{call}");
            assert_eq!(found_in((5, 4), call, &[&new]).unwrap(), new);
        }
        let symbols = ["__x32_compat_sys_ioctl", "sys32_x32_rt_sigreturn"];
        let (found, _) = search_for_x32("rt_sigreturn", &Known::nothing(), &symbols);
        assert_eq!(found.unwrap(), "sys32_x32_rt_sigreturn");
    }

    /// Source: arch/x86/entry/syscalls/syscall_32.tbl in Linux 5.0 and 5.1.
    #[test]
    fn calls_added_later_for_32_bit_processes_are_missing_before() {
        for call in ["semget", "shmdt", "clock_gettime64", "futex_time64"] {
            let name = name(call);
            let row = abi::compat_row(&name).unwrap();
            let functions = row.function_names(Column::Compat);
            let symbols = functions.map(|function| format!("__ia32_{function}"));
            let symbols: Vec<_> = symbols.collect();
            let symbols: Vec<_> = symbols.iter().map(String::as_str).collect();
            assert!(
                matches!(found_in((5, 0), call, &symbols), Err(Error::NotFound { .. })),
                "{call}"
            );
            assert_eq!(found_in((5, 1), call, &symbols).unwrap(), symbols[0]);
        }
    }

    /// Source: `COND_SYSCALL_COMPAT` in arch/x86/include/asm/syscall_wrapper.h.
    #[test]
    fn stubs_of_32_bit_calls_are_shared_before_5_7() {
        let symbols = ["__ia32_compat_sys_lookup_dcookie"];
        let absent = found_in((5, 6), "lookup_dcookie", &symbols);
        assert!(matches!(absent, Err(Error::NotFound { .. })));
        assert_eq!(found_in((5, 7), "lookup_dcookie", &symbols).unwrap(), symbols[0]);
    }

    /// Finds the function that serves a call for x32 processes only, in a kernel that has
    /// `symbols`. Also returns the symbols that were probed.
    fn search_for_x32(
        call: &str,
        learnt: &Known,
        symbols: &[&str],
    ) -> (Result<String, Error>, Vec<String>) {
        let mut asked = Vec::new();
        let call = name(call);
        let found = find_x32(&call, &abi::x32_row(&call).unwrap(), learnt, &mut |symbol, _| {
            asked.push(symbol.to_string());
            Ok(symbols.contains(&symbol.as_str()))
        });
        (found.map(|symbol| symbol.to_string()), asked)
    }

    /// Source: numbers 512 to 547 in arch/x86/entry/syscalls/syscall_64.tbl of Linux 6.12 and 5.4.
    #[test]
    fn x32_has_separate_functions() {
        const NEW: &[&str] = &[
            "__x64_compat_sys_ioctl",
            "__x64_compat_sys_preadv64",
            "__x64_compat_sys_recvmmsg_time64",
            "__x64_compat_sys_rt_sigqueueinfo",
            "__x64_sys_readv",
        ];
        let learnt = Known::nothing();
        for (call, function) in [
            ("ioctl", "ioctl"),
            ("preadv", "preadv64"),
            ("recvmmsg", "recvmmsg_time64"),
            // `sigqueue` is an alias in the table for 64-bit processes.
            ("sigqueue", "rt_sigqueueinfo"),
        ] {
            let (found, _) = search_for_x32(call, &learnt, NEW);
            assert_eq!(found.unwrap(), format!("__x64_compat_sys_{function}"));
        }
        // `__x64_sys_readv` serves 64-bit processes too.
        assert!(search_for_x32("readv", &learnt, NEW).0.is_err());
        let old = ["__x32_compat_sys_ioctl", "__x32_compat_sys_readv", "__x64_sys_readv"];
        let (found, _) = search_for_x32("readv", &Known::nothing(), &old);
        assert_eq!(found.unwrap(), "__x32_compat_sys_readv");
    }

    #[test]
    fn the_absence_of_x32_is_remembered() {
        let learnt = Known::nothing();
        for asked in [2, 0] {
            let symbols = ["__x64_sys_ioctl", "__ia32_compat_sys_ioctl"];
            let (found, tries) = search_for_x32("ioctl", &learnt, &symbols);
            assert!(matches!(found, Err(Error::NoCompatCall { .. })));
            assert_eq!(tries.len(), asked, "{tries:?}");
        }
    }
}
