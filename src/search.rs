//! Finding the symbol that serves a call in the running kernel.
//!
//! The candidates are tried in order. What works tells which conventions the
//! kernel can have; that is remembered, so later searches try fewer. Only when
//! every candidate of a convention is missing is its anchor asked for: if the
//! anchor exists, the kernel does not have the call, and the names of another
//! convention must not be tried.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::Error;
use crate::candidates::{CONVENTIONS, Conventions, Symbol};
use crate::error::TriedConventions;
use crate::name::SyscallName;
use crate::table;

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
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |learnt| {
                (learnt & set.0 != 0).then_some(learnt & set.0)
            });
    }
}

/// Tries the symbols that may serve `name` until `probe` finds one.
///
/// `probe` answers None for a symbol that the kernel does not have; any other
/// failure ends the search and teaches nothing.
///
/// # Errors
/// [`Error::NotFound`] if the kernel has none of them, and what `probe` fails with.
pub(crate) fn search<T>(
    name: &SyscallName,
    learnt: &Learnt,
    mut probe: impl FnMut(&Symbol) -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    let row = table::row(name);
    let mut left = learnt.get();
    let mut tried = Conventions::NONE;
    for (index, convention) in CONVENTIONS.iter().enumerate() {
        if !left.contains(index) {
            continue;
        }
        for symbol in convention.symbols(&row) {
            if !tried.that_have(&symbol, &row).is_empty() {
                continue;
            }
            if let Some(found) = probe(&symbol)? {
                learnt.keep(left.that_have(&symbol, &row));
                return Ok(found);
            }
        }
        tried = tried.with(index);
        let Some(anchor) = convention
            .anchor()
            .filter(|_| !left.without(index).is_empty())
        else {
            continue;
        };
        left = match probe(&anchor)? {
            Some(_) => left.only(|convention| convention.anchor() == Some(anchor)),
            None => left.without(index),
        };
        learnt.keep(left);
    }
    Err(Error::NotFound {
        name: *name,
        tried: TriedConventions(tried),
    })
}
