//! Finding the symbol that serves a call in the running kernel.
//!
//! The candidates are tried in order. What works tells which conventions the
//! kernel can have; that is remembered, so later searches try fewer. Only when
//! every candidate of a convention is missing is its anchor asked for: if the
//! anchor exists, the kernel does not have the call, and the names of another
//! convention must not be tried. What is missing teaches nothing by itself.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::Error;
use crate::candidates::{CONVENTIONS, Conventions, Symbol};
use crate::error::TriedConventions;
use crate::name::SyscallName;
use crate::table::Row;

/// The conventions that the running kernel may have, as far as is known.
pub(crate) struct Learnt(AtomicU8);

impl Learnt {
    pub(crate) const fn nothing() -> Self {
        Self(AtomicU8::new(Conventions::ALL.0))
    }

    fn get(&self) -> Conventions {
        Conventions(self.0.load(Ordering::Relaxed))
    }

    /// Keeps what stands the evidence. Evidence that leaves nothing contradicts
    /// what was learnt before, and teaches nothing.
    fn keep(&self, set: Conventions) {
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |learnt| {
            (learnt & set.0 != 0).then_some(learnt & set.0)
        });
    }
}

/// Tries the symbols that may serve the call of the row until `probe` finds one.
///
/// `probe` answers None for a symbol that the kernel does not have; any other
/// failure ends the search and teaches nothing. It is told whether the symbol may
/// be a stub whose probe fires for other calls, which is as good as none.
///
/// # Errors
/// [`Error::NotFound`] if the kernel has none of them, and what `probe` fails with.
pub(crate) fn search<T>(
    name: &SyscallName,
    row: &Row,
    learnt: &Learnt,
    mut probe: impl FnMut(&Symbol, bool) -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    let mut left = learnt.get();
    let mut tried = Conventions::NONE;
    for (index, convention) in CONVENTIONS.iter().enumerate() {
        if !left.contains(index) {
            continue;
        }
        for symbol in convention.symbols(row) {
            if !tried.that_have(&symbol, row).is_empty() {
                continue;
            }
            let may_be_shared_stub = convention.shares_stubs && row.may_be_absent();
            if let Some(found) = probe(&symbol, may_be_shared_stub)? {
                learnt.keep(left.that_have(&symbol, row));
                return Ok(found);
            }
        }
        tried = tried.with(index);
        let Some(anchor) = convention.anchor().filter(|_| !left.without(index).is_empty()) else {
            continue;
        };
        if probe(&anchor, false)?.is_some() {
            left = left.only(|convention| convention.anchor() == Some(anchor));
            learnt.keep(left);
        } else {
            left = left.without(index);
        }
    }
    Err(Error::NotFound { name: *name, tried: TriedConventions(tried) })
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::table;
    use errno::Errno;

    /// A kernel that has some symbols, and the symbols that it was asked for.
    struct Kernel {
        symbols: &'static [&'static str],
        stubs: &'static [&'static str],
        asked: Vec<String>,
        learnt: Learnt,
    }

    impl Kernel {
        fn new(symbols: &'static [&'static str]) -> Self {
            Self { symbols, stubs: &[], asked: Vec::new(), learnt: Learnt::nothing() }
        }

        fn wrapped() -> Self {
            Self::new(&["__x64_sys_getpid", "__x64_sys_newstat", "sys_newstat", "sys_only_plain"])
        }

        fn plain() -> Self {
            Self::new(&["sys_getpid", "sys_newstat"])
        }

        fn search(&mut self, name: &str) -> Result<String, Error> {
            let name = SyscallName::new(name).unwrap();
            self.asked.clear();
            search(&name, &table::row(&name), &self.learnt, |symbol, may_be_shared_stub| {
                self.asked.push(symbol.to_string());
                let is_shared = may_be_shared_stub && self.stubs.contains(&symbol.as_str());
                let is_there = self.symbols.contains(&symbol.as_str()) && !is_shared;
                Ok(is_there.then(|| symbol.to_string()))
            })
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
    fn a_kernel_with_wrappers_is_never_answered_with_a_plain_symbol() {
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

    #[test]
    fn a_refusal_ends_the_search_and_teaches_nothing() {
        let mut kernel = Kernel::plain();
        let name = SyscallName::new("stat").unwrap();
        let refused = search(
            &name,
            &table::row(&name),
            &kernel.learnt,
            |_, _| -> Result<Option<()>, Error> { Err(Error::Close { errno: Errno(libc::EPERM) }) },
        );
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
        assert!(error.to_string().contains("no entry of this architecture"), "{error}");
    }

    #[test]
    fn the_message_names_what_was_tried_and_what_may_be_meant() {
        let error = Kernel::wrapped().search("opnat").unwrap_err().to_string();
        assert!(error.contains("opnat") && error.contains("__x64_sys_opnat"), "{error}");
        assert!(error.contains("did you mean openat"), "{error}");
    }
}
