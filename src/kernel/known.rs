//! Remembers one answer from the running kernel.

use core::sync::atomic::{AtomicUsize, Ordering};

/// The kernel's conclusive answer to one question, stored as a number once the answer is known.
///
/// Only cache answers that are certain and that cannot change while the kernel runs. Permission
/// errors, unreadable files and errors that a caller's program causes prove nothing and are never
/// cached.
pub(crate) struct Known(AtomicUsize);

impl Known {
    pub(crate) const fn nothing() -> Self {
        Self(AtomicUsize::new(0))
    }

    pub(crate) fn get(&self) -> Option<usize> {
        self.0.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Stores the answer. If several threads store an answer at the same time, any of their answers
    /// is correct.
    pub(crate) fn set(&self, answer: usize) {
        self.0.store(answer.saturating_add(1), Ordering::Relaxed);
    }
}
