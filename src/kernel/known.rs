//! Remembers one answer from the running kernel.

use core::sync::atomic::{AtomicUsize, Ordering};

/// The kernel's conclusive answer to one question, as a number, if the answer is known yet.
///
/// Only cache answers that are certain and that cannot change while the kernel runs. Permission
/// errors, unreadable files and the kernel's treatment of a caller's program prove nothing and are
/// never cached.
pub(crate) struct Known(AtomicUsize);

impl Known {
    pub(crate) const fn nothing() -> Self {
        Self(AtomicUsize::new(0))
    }

    pub(crate) fn get(&self) -> Option<usize> {
        self.0.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Stores the answer. Threads that store at the same time store the same answer.
    pub(crate) fn set(&self, answer: usize) {
        self.0.store(answer.saturating_add(1), Ordering::Relaxed);
    }
}
