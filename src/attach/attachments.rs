//! Closes many attachments at the same time.
//!
//! The kernel ends a probe when no CPU can run it any more, for which it waits (RCU grace
//! periods). Threads that close at the same time wait at the same time.

use alloc::vec::Vec;

use crate::Error;
use crate::attach::attachment::Attachment;
use crate::sys;

/// How many threads close attachments by default.
pub(crate) const THREADS: usize = 8;

/// Attachments, which are closed concurrently.
#[derive(Debug)]
pub(crate) struct Attachments {
    list: Vec<Attachment>,
    pub(crate) threads: usize,
}

impl Attachments {
    /// An empty list with room for `count` attachments.
    pub(crate) fn with_room(count: usize) -> Result<Self, Error> {
        let mut list = Vec::new();
        list.try_reserve_exact(count).map_err(|_| Error::NoMemory)?;
        Ok(Self { list, threads: THREADS })
    }

    /// Adds one, for which there is room.
    pub(crate) fn push(&mut self, attachment: Attachment) {
        debug_assert!(self.list.len() < self.list.capacity());
        self.list.push(attachment);
    }

    pub(crate) fn as_slice(&self) -> &[Attachment] {
        &self.list
    }

    /// Takes them out in order, so that they are not closed together.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Attachment> {
        core::mem::take(&mut self.list).into_iter()
    }

    /// Ends all, and calls `failed` with the number and error of each that failed. They have ended in
    /// any case.
    pub(crate) fn close(&mut self, failed: &(dyn Fn(usize, Error) + Sync)) {
        let list = core::mem::take(&mut self.list);
        sys::consume_in_parallel(list, self.threads, &|index, attachment| {
            if let Err(error) = attachment.detach() {
                failed(index, error);
            }
        });
    }
}

#[cfg(feature = "std")]
impl Attachments {
    /// Ends all, and returns the first error in their order. They have ended in any case.
    pub(crate) fn close_all(&mut self) -> Result<(), Error> {
        let first = std::sync::Mutex::new(None);
        self.close(&|index, error| {
            let mut first = first.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if first.as_ref().is_none_or(|(earlier, _)| index < *earlier) {
                *first = Some((index, error));
            }
        });
        let first = first.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        first.map_or(Ok(()), |(_, error)| Err(error))
    }
}

impl Drop for Attachments {
    fn drop(&mut self) {
        self.close(&|_, _| {});
    }
}
