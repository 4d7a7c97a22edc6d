//! Finding the symbol that serves a call in the running kernel.
//!
//! The candidates are tried in order. What works tells which conventions the
//! kernel can have; that is remembered, so later searches try fewer. Only when
//! every candidate of a convention is missing is its anchor asked for: if the
//! anchor exists, the kernel does not have the call, and the names of another
//! convention must not be tried. What is missing teaches nothing by itself.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU8, Ordering};

use super::conventions::{CONVENTIONS, Conventions, Doubt, Symbol};
use super::name::SyscallName;
use super::table::Row;
use crate::Error;

/// The conventions that the running kernel cannot have, as far as is known.
pub(crate) struct RuledOut(AtomicU8);

impl RuledOut {
    pub(crate) const fn nothing() -> Self {
        Self(AtomicU8::new(0))
    }

    /// What is learnt of it is not learnt of this.
    pub(crate) fn copy(&self) -> Self {
        Self(AtomicU8::new(self.0.load(Ordering::Relaxed)))
    }

    /// The conventions that it may have.
    fn get(&self) -> Conventions {
        Conventions(Conventions::ALL.0 & !self.0.load(Ordering::Relaxed))
    }

    /// Keeps what stands the evidence. Evidence that leaves nothing contradicts
    /// what was learnt before, and teaches nothing.
    fn keep(&self, set: Conventions) {
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |ruled_out| {
            let ruled_out = ruled_out | !set.0 & Conventions::ALL.0;
            (ruled_out != Conventions::ALL.0).then_some(ruled_out)
        });
    }
}

/// Tries the symbols that may serve the call of the row until `probe` finds one.
///
/// `probe` returns None for a symbol that the kernel does not have, and for one whose doubt
/// turns out to be right. Any error of `probe` ends the search and teaches nothing.
///
/// # Errors
/// [`Error::NotFound`] if the kernel has none of them; the error of `probe`.
pub(crate) fn search<T>(
    name: &SyscallName,
    row: &Row,
    learnt: &RuledOut,
    mut probe: impl FnMut(&Symbol, Doubt) -> Result<Option<T>, Error>,
) -> Result<(Symbol, T), Error> {
    let mut possible = learnt.get();
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
            if let Some(found) = probe(&symbol, convention.doubt(&symbol, row))? {
                learnt.keep(possible.that_have(&symbol, row));
                return Ok((symbol, found));
            }
            tried.add(symbol)?;
        }
        if possible.without(index).is_empty() {
            continue;
        }
        let anchor = convention.anchor;
        if probe(&convention.anchor(), Doubt::None)?.is_some() {
            possible = possible.only(|convention| convention.anchor == anchor);
            learnt.keep(possible);
        } else {
            possible = possible.without(index);
        }
    }
    Err(tried.not_found(name))
}

/// The symbols that a search found missing.
#[derive(Default)]
pub(super) struct Tried(Vec<Symbol>);

impl Tried {
    fn contains(&self, symbol: &Symbol) -> bool {
        self.0.contains(symbol)
    }

    pub(super) fn add(&mut self, symbol: Symbol) -> Result<(), Error> {
        self.0.try_reserve(1).map_err(|_| Error::NoMemory)?;
        self.0.push(symbol);
        Ok(())
    }

    pub(super) fn not_found(self, name: &SyscallName) -> Error {
        Error::NotFound { name: *name, tried: self.0 }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::resolve::table;
    use crate::resolve::version::{LATEST, Version};

    /// A kernel that has some symbols, and the symbols that it was asked for.
    struct Kernel {
        symbols: &'static [&'static str],
        /// Of these the doubt is right.
        stubs: &'static [&'static str],
        asked: Vec<String>,
        learnt: RuledOut,
        version: Version,
    }

    impl Kernel {
        fn new(symbols: &'static [&'static str]) -> Self {
            Self {
                symbols,
                stubs: &[],
                asked: Vec::new(),
                learnt: RuledOut::nothing(),
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
            let found = search(name, row, &self.learnt, |symbol, doubt| {
                self.asked.push(symbol.to_string());
                let is_stub = doubt != Doubt::None && self.stubs.contains(&symbol.as_str());
                let is_there = self.symbols.contains(&symbol.as_str()) && !is_stub;
                Ok(is_there.then(|| symbol.to_string()))
            });
            found.map(|(_, symbol)| symbol)
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
        let refused = search(&name, &table::row(&name), &kernel.learnt, |symbol, _| {
            assert_eq!(symbol.as_str(), "__x64_sys_newstat");
            Err::<Option<()>, _>(Error::Close { errno: libc::EPERM })
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
}
