//! Defines [`Links`], a program's attachments to many calls, which [`crate::Batch::attach`]
//! returns.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc;

use crate::attach::attachment::Attachment;
use crate::attach::attachments::Attachments;
use crate::{Error, Symbol, SyscallName};

/// A program's attachments to many system calls. Dropping the `Links` detaches the program from all
/// calls. Perf events are closed concurrently.
#[derive(Debug)]
#[must_use = "the program is detached when the links are dropped"]
pub struct Links {
    pub(crate) attachments: Attachments,
    pub(crate) attached: Vec<(SyscallName, Symbol)>,
    pub(crate) failures: Vec<Failure>,
}

impl Links {
    /// Returns the calls that the program is attached to, in batch order, each with the kernel
    /// function that serves the call. A call appears once for each function that serves it for the
    /// requested [`Callers`](crate::Callers).
    #[doc(alias = "ksyscall_links__function")]
    pub fn attached(&self) -> impl ExactSizeIterator<Item = (&SyscallName, &Symbol)> {
        self.attached.iter().map(|(name, symbol)| (name, symbol))
    }

    /// Returns the calls for which the attach failed, in batch order.
    #[doc(alias = "ksyscall_links__result")]
    pub fn failures(&self) -> impl ExactSizeIterator<Item = &Failure> {
        self.failures.iter()
    }

    /// Returns the descriptors that keep the attachments alive: one for each function, or one for
    /// all functions if the program was loaded for kprobe.multi.
    pub fn fds(&self) -> impl ExactSizeIterator<Item = BorrowedFd<'_>> {
        self.attachments.as_slice().iter().map(|attachment| attachment.fd.as_fd())
    }

    /// Returns how many entries of all functions (or, for return probes, how many returns) the
    /// kernel has missed in total; see [`Link::missed`](crate::Link::missed). Returns `None` unless
    /// the kernel reports the number for every function.
    #[doc(alias = "ksyscall_links__missed")]
    pub fn missed(&self) -> Option<u64> {
        self.attachments.as_slice().iter().map(Attachment::missed).sum()
    }

    /// Detaches the program, as dropping the links does, but also reports any error.
    ///
    /// # Errors
    /// Returns the first [`Error::Close`] or [`Error::Tracefs`]. All descriptors are closed even if
    /// an error occurs.
    #[doc(alias = "ksyscall_links__destroy")]
    pub fn detach(mut self) -> Result<(), Error> {
        let (sender, failures) = mpsc::channel();
        self.attachments.close(&|index, error| _ = sender.send((index, error)));
        let first = failures.try_iter().min_by_key(|(index, _)| *index);
        first.map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Leaves the program attached for as long as this process lives.
    pub fn forget(mut self) {
        self.attachments.take().for_each(std::mem::forget);
    }
}

/// A call that a program could not be attached to, and the error that occurred.
///
/// The message includes the error's message, so `source()` returns `None`.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub struct Failure {
    /// The call.
    pub name: SyscallName,
    /// Why it failed.
    pub error: Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            // This error's message already names the call.
            error @ Error::NotFound { .. } => fmt::Display::fmt(error, f),
            error => write!(f, "{}: {error}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// anyhow's `{:#}`, for example, prints the messages of all sources.
    #[test]
    fn a_failures_message_appears_once() {
        let name = SyscallName::new("openat").unwrap();
        let failure = Failure { name, error: Error::CookieUnsupported };
        assert_eq!(failure.to_string(), "openat: a BPF cookie requires Linux 5.15");
        assert!(std::error::Error::source(&failure).is_none());
    }
}
