//! Holds a program's attachments that end together, which the Rust API returns for many calls.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};

use crate::attach::attachment::Attachment;
use crate::attach::attachments::Attachments;
use crate::{Error, Symbol, SyscallName};

/// A program's attachments to many system calls. Dropping them detaches the program,
/// concurrently where there is a perf event for each.
#[derive(Debug)]
#[must_use = "the program is detached when the links are dropped"]
pub struct Links {
    attachments: Attachments,
    attached: Vec<(SyscallName, Symbol)>,
    failures: Vec<Failure>,
}

impl Links {
    pub(crate) fn new(
        attachments: Attachments,
        attached: Vec<(SyscallName, Symbol)>,
        failures: Vec<Failure>,
    ) -> Self {
        Self { attachments, attached, failures }
    }

    /// The calls that are attached to, in the order of their names in the batch, each with
    /// the kernel function that serves it. A call is listed once for each function that serves it
    /// to its [`Callers`](crate::Callers).
    pub fn attached(&self) -> impl ExactSizeIterator<Item = (&SyscallName, &Symbol)> {
        self.attached.iter().map(|(name, symbol)| (name, symbol))
    }

    /// The calls that could not be attached to, in the same order.
    pub fn failures(&self) -> impl ExactSizeIterator<Item = &Failure> {
        self.failures.iter()
    }

    /// The descriptors that hold the attachments: one for each function, or one for all if
    /// the program was loaded for kprobe.multi.
    pub fn fds(&self) -> impl ExactSizeIterator<Item = BorrowedFd<'_>> {
        self.attachments.as_slice().iter().map(|attachment| attachment.fd.as_fd())
    }

    /// How many entries or returns the kernel missed at all functions together; see
    /// [`Link::missed`](crate::Link::missed). None if the kernel does not report it for each.
    pub fn missed(&self) -> Option<u64> {
        self.attachments.as_slice().iter().map(Attachment::missed).sum()
    }

    /// Detaches the program, as dropping does, and reports what failed.
    ///
    /// # Errors
    /// The first [`Error::Close`] or [`Error::Tracefs`]. All have ended in any case.
    pub fn detach(mut self) -> Result<(), Error> {
        self.attachments.close_all()
    }

    /// Leaves the program attached for as long as this process lives.
    pub fn forget(mut self) {
        self.attachments.take().for_each(std::mem::forget);
    }
}

/// A call that a program could not be attached to, and why.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub struct Failure {
    /// The call.
    pub name: SyscallName,
    /// Why.
    #[source]
    pub error: Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            // These name the call themselves.
            error @ Error::NotFound { .. } => fmt::Display::fmt(error, f),
            error => write!(f, "{}: {error}", self.name),
        }
    }
}
