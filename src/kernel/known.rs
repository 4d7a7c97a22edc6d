//! Remembers one answer of the running kernel.

use core::sync::atomic::{AtomicUsize, Ordering};

/// A number that is the kernel's conclusive answer to one question, or none yet.
///
/// Only what the kernel itself shows beyond doubt is remembered, and what stays so for as long as
/// it runs. Permission errors, unreadable files, and how the kernel treats a caller's program prove
/// nothing and are never cached.
pub(crate) struct Known(AtomicUsize);

impl Known {
    pub(crate) const fn nothing() -> Self {
        Self(AtomicUsize::new(0))
    }

    pub(crate) fn get(&self) -> Option<usize> {
        self.0.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Threads that learn at the same time learn the same.
    pub(crate) fn set(&self, answer: usize) {
        self.0.store(answer.saturating_add(1), Ordering::Relaxed);
    }
}
