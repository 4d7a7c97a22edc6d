//! Closes many attachments concurrently.
//!
//! Before the kernel removes a probe, it waits for RCU grace periods, until no CPU can still be
//! running the probe. This module therefore closes attachments in several threads, which wait at
//! the same time.

use alloc::vec::Vec;

use crate::Error;
use crate::attach::attachment::Attachment;
use crate::sys;

/// The default number of threads that close attachments.
pub(crate) const THREADS: usize = 8;

/// A list of attachments. Drop closes them concurrently.
#[derive(Debug)]
pub(crate) struct Attachments {
    list: Vec<Attachment>,
    pub(crate) threads: usize,
}

impl Attachments {
    /// Creates an empty list with room for `count` attachments.
    pub(crate) fn with_room(count: usize) -> Result<Self, Error> {
        let mut list = Vec::new();
        list.try_reserve_exact(count).map_err(|_| Error::NoMemory)?;
        Ok(Self { list, threads: THREADS })
    }

    /// Adds an attachment. The list must have room for another attachment.
    pub(crate) fn push(&mut self, attachment: Attachment) {
        debug_assert!(self.list.len() < self.list.capacity());
        self.list.push(attachment);
    }

    pub(crate) fn as_slice(&self) -> &[Attachment] {
        &self.list
    }

    /// Moves the attachments out of the list, in order. The caller must close each attachment.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Attachment> {
        core::mem::take(&mut self.list).into_iter()
    }

    /// Detaches everything, and calls `failed` with the index and the error of each attachment that
    /// cannot be detached. The descriptors are closed even after an error.
    pub(crate) fn close(&mut self, failed: &(dyn Fn(usize, Error) + Sync)) {
        let list = core::mem::take(&mut self.list);
        sys::consume_in_parallel(list, self.threads, &|index, attachment| {
            if let Err(error) = attachment.detach() {
                failed(index, error);
            }
        });
    }
}

impl Drop for Attachments {
    fn drop(&mut self) {
        self.close(&|_, _| {});
    }
}
