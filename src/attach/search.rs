//! Finds the kernel function that serves a call: tries each candidate symbol in turn.
//!
//! What works tells which conventions the kernel can have; that is remembered, so later
//! searches try fewer. Only when every candidate of a convention is missing is its anchor
//! asked for: if the anchor exists, the kernel does not have the call, and the names of another
//! convention must not be tried. A missing symbol teaches nothing by itself.

use alloc::vec::Vec;

use errno::Errno;

use crate::Error;
use crate::calls::abi::{self, Abi};
#[cfg(feature = "capi")]
use crate::calls::conventions::Form;
use crate::calls::conventions::{
    COMPAT_CONVENTIONS, CONVENTIONS, Convention, Conventions, Doubt, X32_CONVENTIONS,
};
use crate::calls::table::{self, COMPAT_TABLE, Column, Row, TABLE};
use crate::calls::version::LATEST;
use crate::calls::{SubCall, Symbol, SyscallName};
use crate::kernel::version::{update, version};
use crate::kernel::{Known, LEARNT, compat, stubs, tracefs};

/// Tells whether the kernel has a symbol and that symbol is the call's own, whatever the doubt. An
/// error ends the search and teaches nothing.
type Probe<'a> = dyn FnMut(&Symbol, Doubt) -> Result<bool, Error> + 'a;

/// The row of the call on this kernel, as native callers mean it.
pub(crate) fn native_row(name: &SyscallName) -> Row<'_> {
    in_this_version(table::row(name))
}

/// The row of the call on this kernel, as callers of that ABI mean it.
///
/// `is_alone` tells that the call is asked for by this ABI only.
pub(super) fn row_on(abi: Abi, is_alone: bool, name: &SyscallName) -> Result<Row<'_>, Error> {
    let no_call = || Error::NoCompatCall { name: *name };
    match abi {
        Abi::Native if is_alone => Ok(native_row(name)),
        Abi::Native => abi::native_row(name)
            .map(in_this_version)
            .ok_or_else(|| Tried::default().not_found(name)),
        Abi::Compat if COMPAT_CONVENTIONS.is_empty() => Err(Error::CallersUnknown),
        Abi::Compat => match abi::compat_row(name).map(in_this_version) {
            Some(row) if row.is_undecided() => Err(Error::UpdateUnknown { name: *name }),
            row => row.filter(|row| row.is_in(Column::Compat)).ok_or_else(no_call),
        },
        Abi::X32 => abi::x32_row(name).map(in_this_version).ok_or_else(no_call),
    }
}

/// How callers of that ABI make the call if it is carried out by a multiplexer, and no function serves
/// it to them otherwise.
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

fn in_this_version(row: Row<'_>) -> Row<'_> {
    row.in_version(|| version().unwrap_or(LATEST)).in_update(update)
}

/// Finds the function that serves the call of the row to callers of that ABI: the first candidate
/// of which `probe` says that the kernel has it. No symbol is probed after that one.
///
/// # Errors
/// That the kernel, or these callers, do not have the call; the error of `probe`, which ends the
/// search.
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
        let is_right = match doubt {
            Doubt::None => false,
            Doubt::MayBeStub => {
                stubs::is_stub(symbol).map_err(|Errno(errno)| Error::KernelSymbols { errno })?
            }
            Doubt::MayBeNoCall => !tracefs::has_tracepoint_of_call(row.name.as_bytes()),
        };
        Ok(!is_right)
    };
    match abi {
        Abi::Native => find_native(name, row, &LEARNT.conventions, probe),
        Abi::Compat if compat::is_off() => Err(no_compat_callers(true)),
        Abi::Compat => find_compat(name, row, &LEARNT.compat, probe),
        Abi::X32 => find_x32(name, row, &LEARNT.x32, probe),
    }
}

/// Whether a call of native processes may lead to the function of that name.
#[cfg(feature = "capi")]
pub(super) fn may_be_reached(form: &Form) -> bool {
    let possible = LEARNT.conventions.get().map_or(Conventions::ALL, |set| Conventions(set as u8));
    // Most functions serve the call that they are named after.
    form.serves(&native_row(&form.call), possible)
        || table::rows(table::TABLE).any(|row| form.serves(&in_this_version(row), possible))
}

/// Whether the kernel's convention is known.
#[cfg(feature = "capi")]
pub(super) fn is_convention_known() -> bool {
    LEARNT.conventions.get().is_some_and(usize::is_power_of_two)
}

/// Finds the function of native callers. `learnt` is the set of conventions that the kernel may have.
///
/// # Errors
/// [`Error::NotFound`] if the kernel has none of the symbols; the error of `probe`.
pub(super) fn find_native(
    name: &SyscallName,
    row: &Row,
    learnt: &Known,
    probe: &mut Probe,
) -> Result<Symbol, Error> {
    let mut possible = learnt.get().map_or(Conventions::ALL, |set| Conventions(set as u8));
    let mut tried = Tried::default();
    for (index, convention) in CONVENTIONS.iter().enumerate() {
        if !possible.contains(index) {
            continue;
        }
        for symbol in convention.symbols(row) {
            // Two conventions can have the same one.
            if tried.contains(&symbol) {
                continue;
            }
            if probe(&symbol, convention.doubt(&symbol, row))? {
                // Where the kernel's is known, there is nothing left to learn.
                if !learnt.get().is_some_and(usize::is_power_of_two) {
                    keep(learnt, possible.that_have(&symbol, row));
                }
                return Ok(symbol);
            }
            tried.add(symbol)?;
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
    // A 32-bit process cannot see beforehand that its kernel is a 64-bit one.
    if row.is_undecided() {
        return Err(Error::UpdateUnknown { name: *name });
    }
    Err(tried.not_found(name))
}

/// Remembers the set as all conventions that the kernel may have. An empty set contradicts what was
/// learnt before, and teaches nothing.
fn keep(learnt: &Known, set: Conventions) {
    if !set.is_empty() {
        learnt.set(set.0.into());
    }
}

/// The symbols that the kernel does not have.
#[derive(Default)]
struct Tried(Vec<Symbol>);

impl Tried {
    fn contains(&self, symbol: &Symbol) -> bool {
        self.0.contains(symbol)
    }

    fn add(&mut self, symbol: Symbol) -> Result<(), Error> {
        self.0.try_reserve(1).map_err(|_| Error::NoMemory)?;
        self.0.push(symbol);
        Ok(())
    }

    fn not_found(self, name: &SyscallName) -> Error {
        Error::NotFound { name: *name, tried: self.0 }
    }
}

/// Finds the function of 32-bit callers.
///
/// # Errors
/// [`Error::NotFound`] if the kernel has none of the symbols, [`Error::NoCompatCallers`] if it
/// serves no 32-bit callers at all; the error of `probe`.
fn find_compat(
    name: &SyscallName,
    row: &Row,
    learnt: &Known,
    probe: &mut Probe,
) -> Result<Symbol, Error> {
    match convention_of(COMPAT_CONVENTIONS, learnt, probe)? {
        Some(convention) => find_by(convention, name, row, probe),
        None => Err(no_compat_callers(false)),
    }
}

/// The kernel serves no 32-bit callers: it was booted, or else built, without.
fn no_compat_callers(is_off: bool) -> Error {
    let symbol = COMPAT_CONVENTIONS.last().map_or(Symbol::EMPTY, Convention::anchor);
    Error::NoCompatCallers { symbol, is_off }
}

/// Finds the function that serves x32 callers alone.
///
/// # Errors
/// [`Error::NoCompatCall`]; the error of `probe`.
fn find_x32(
    name: &SyscallName,
    row: &Row,
    learnt: &Known,
    probe: &mut Probe,
) -> Result<Symbol, Error> {
    let Some(convention) = convention_of(X32_CONVENTIONS, learnt, probe)? else {
        // Most kernels have no x32: they are not to be asked for each call.
        learnt.set(X32_CONVENTIONS.len());
        return Err(Error::NoCompatCall { name: *name });
    };
    match find_by(convention, name, row, probe) {
        Err(Error::NotFound { .. }) => Err(Error::NoCompatCall { name: *name }),
        found => found,
    }
}

/// The one of these conventions that the kernel has, by its anchor. The kernel is asked until it
/// has one of them.
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

fn find_by(
    convention: &Convention,
    name: &SyscallName,
    row: &Row,
    probe: &mut Probe,
) -> Result<Symbol, Error> {
    let mut tried = Tried::default();
    for symbol in convention.symbols(row) {
        if probe(&symbol, convention.doubt(&symbol, row))? {
            return Ok(symbol);
        }
        tried.add(symbol)?;
    }
    Err(tried.not_found(name))
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::calls::version::Version;

    /// A kernel that has some symbols, and the symbols that it was asked for.
    struct Kernel {
        symbols: &'static [&'static str],
        /// Of these the doubt is right.
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
    fn a_call_that_is_there_is_asked_for_once_and_nothing_else_is() {
        let mut kernel = Kernel::wrapped();
        for _ in 0..2 {
            assert_eq!(kernel.search("stat").unwrap(), "__x64_sys_newstat");
            assert_eq!(kernel.asked, ["__x64_sys_newstat"]);
        }
    }

    #[test]
    fn no_plain_symbol_is_taken_on_a_kernel_with_wrappers() {
        let mut kernel = Kernel::wrapped();
        assert!(matches!(kernel.search("only_plain"), Err(Error::NotFound { .. })));
        assert_eq!(kernel.asked, ["__x64_sys_only_plain", "__x64_sys_getpid"]);
        // Learnt: the anchor is not asked for again.
        assert!(kernel.search("only_plain").is_err());
        assert_eq!(kernel.asked, ["__x64_sys_only_plain"]);
    }

    #[test]
    fn a_kernel_without_wrappers_is_found_out_once() {
        let mut kernel = Kernel::plain();
        assert_eq!(kernel.search("stat").unwrap(), "sys_newstat");
        assert_eq!(kernel.asked, ["__x64_sys_newstat", "__x64_sys_getpid", "sys_newstat"]);
        assert_eq!(kernel.search("getpid").unwrap(), "sys_getpid");
        assert_eq!(kernel.asked, ["sys_getpid"]);
    }

    #[test]
    fn a_stub_counts_as_missing_where_calls_share_it() {
        let mut plain = Kernel::new(&["sys_getpid", "sys_mbind"]);
        plain.stubs = &["sys_mbind"];
        assert_eq!(plain.search("mbind").unwrap_err().errno(), libc::ENOENT);
        plain.stubs = &[];
        assert_eq!(plain.search("mbind").unwrap(), "sys_mbind");
        let mut wrapped = Kernel::new(&["__x64_sys_getpid", "__x64_sys_mbind"]);
        wrapped.stubs = &["__x64_sys_mbind"];
        assert_eq!(wrapped.search("mbind").unwrap(), "__x64_sys_mbind");
    }

    /// `COND_SYSCALL` of arch/x86/include/asm/syscall_wrapper.h in Linux 5.3 and 5.4.
    #[test]
    fn kernels_with_wrappers_shared_their_stubs_before_5_4() {
        let mut kernel = Kernel::new(&["__x64_sys_getpid", "__x64_sys_mbind", "__x64_sys_uselib"]);
        kernel.stubs = &["__x64_sys_mbind", "__x64_sys_uselib"];
        let uselib = SyscallName::new("uselib").unwrap();
        for (version, is_separate) in [((4, 18), false), ((5, 3), false), ((5, 4), true)] {
            kernel.version = version;
            assert_eq!(kernel.search("mbind").is_ok(), is_separate, "{version:?}");
            // The C function asks for it though no call reaches it.
            let mut row = table::row(&uselib).in_version(|| version);
            row.use_own_name();
            assert_eq!(kernel.search_for(&uselib, &row).is_ok(), is_separate, "{version:?}");
        }
    }

    #[test]
    fn a_plain_name_that_no_table_has_must_be_a_calls() {
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
    fn a_refusal_ends_the_search_and_teaches_nothing() {
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
    fn what_is_missing_teaches_nothing_by_itself() {
        let mut kernel = Kernel::new(&[]);
        assert!(kernel.search("stat").is_err());
        kernel.symbols = Kernel::wrapped().symbols;
        assert_eq!(kernel.search("stat").unwrap(), "__x64_sys_newstat");
    }

    #[test]
    fn a_call_of_other_architectures_is_not_asked_for() {
        let mut kernel = Kernel::new(&["__x64_sys_socketcall", "__x64_sys_getpid"]);
        let error = kernel.search("socketcall").unwrap_err();
        assert_eq!(error.errno(), libc::ENOENT);
        assert!(error.to_string().contains("this architecture's system call table"), "{error}");
    }

    #[test]
    fn the_message_names_what_was_tried_and_what_may_be_meant() {
        let error = Kernel::wrapped().search("opnat").unwrap_err().to_string();
        assert!(error.contains("opnat") && error.contains("__x64_sys_opnat"), "{error}");
        assert!(error.contains("did you mean openat"), "{error}");
    }

    #[test]
    fn the_message_names_what_the_c_library_calls() {
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

    /// The symbols of `openat` that are asked for on a kernel with those.
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
    fn the_kernels_convention_is_asked_for_until_it_is_known() {
        const WRAPPED: &[&str] = &["__ia32_compat_sys_ioctl", "__ia32_compat_sys_openat"];
        let learnt = Known::nothing();
        // The kernel has none of that: no symbol of native callers is taken in its place.
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

    /// The function that serves a call to 32-bit processes in a kernel of that version with those
    /// symbols, and with wrappers.
    fn found_in(version: Version, call: &str, symbols: &[&str]) -> Result<String, Error> {
        let call = name(call);
        let row = abi::compat_row(&call).unwrap().in_version(|| version);
        let found = find_compat(&call, &row, &Known::nothing(), &mut |symbol, doubt| {
            let is_stub = doubt == Doubt::MayBeStub && symbol.as_str().contains("lookup_dcookie");
            let symbols = [symbols, &["__ia32_compat_sys_ioctl"]].concat();
            let is_there = symbols.contains(&symbol.as_str()) && !is_stub;
            Ok(is_there)
        });
        found.map(|symbol| symbol.to_string())
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

    /// arch/x86/entry/syscalls/syscall_32.tbl of the stable versions.
    #[test]
    fn a_stable_update_decides_between_functions_that_are_both_there() {
        let symbols = ["__ia32_compat_sys_io_pgetevents_time64", "__ia32_sys_io_pgetevents"]
            .map(String::from);
        let found = |call: &str, version, update: Option<u64>| {
            let call = name(call);
            let row = abi::compat_row(&call).unwrap().in_version(|| version).in_update(|| update);
            if row.is_undecided() {
                return Err(Error::UpdateUnknown { name: call });
            }
            let found = find_compat(&call, &row, &Known::nothing(), &mut |symbol, _| {
                let symbols =
                    [symbols.as_slice(), &["__ia32_compat_sys_ioctl".to_owned()]].concat();
                Ok(symbols.iter().any(|known| known == symbol.as_str()))
            });
            found.map(|symbol| symbol.to_string())
        };
        let [right, wrong] = &symbols;
        for (version, update, expected) in [
            ((5, 4), Some(286), wrong),
            ((5, 10), Some(220), wrong),
            ((5, 10), Some(221), right),
            ((5, 15), Some(135), wrong),
            ((6, 1), Some(97), right),
            ((6, 10), None, right),
        ] {
            let found = found("io_pgetevents_time64", version, update).unwrap();
            assert_eq!(found, *expected, "{version:?} {update:?}");
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
        let (found, _) = search_for_x32("rt_sigreturn", &Known::nothing(), &symbols);
        assert_eq!(found.unwrap(), "sys32_x32_rt_sigreturn");
    }

    /// arch/x86/entry/syscalls/syscall_32.tbl of Linux 5.0 and 5.1.
    #[test]
    fn calls_that_are_younger_for_32_bit_processes_are_not_those_of_others() {
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

    /// `COND_SYSCALL_COMPAT` of arch/x86/include/asm/syscall_wrapper.h.
    #[test]
    fn stubs_of_32_bit_calls_were_shared_before_5_7() {
        let symbols = ["__ia32_compat_sys_lookup_dcookie"];
        let absent = found_in((5, 6), "lookup_dcookie", &symbols);
        assert!(matches!(absent, Err(Error::NotFound { .. })));
        assert_eq!(found_in((5, 7), "lookup_dcookie", &symbols).unwrap(), symbols[0]);
    }

    /// The function that is found of a call for x32 processes alone in a kernel with those
    /// symbols, and what is asked for.
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
        let learnt = Known::nothing();
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
        let (found, _) = search_for_x32("readv", &Known::nothing(), &old);
        assert_eq!(found.unwrap(), "__x32_compat_sys_readv");
    }

    #[test]
    fn a_kernel_without_x32_is_asked_once() {
        let learnt = Known::nothing();
        for asked in [2, 0] {
            let symbols = ["__x64_sys_ioctl", "__ia32_compat_sys_ioctl"];
            let (found, tries) = search_for_x32("ioctl", &learnt, &symbols);
            assert!(matches!(found, Err(Error::NoCompatCall { .. })));
            assert_eq!(tries.len(), asked, "{tries:?}");
        }
    }
}
