//! What has to be closed: a perf event, or the link that holds one.

use crate::kernel::tracefs::Entry;
use crate::refusal::Refusal;
use crate::sys::Fd;

/// A perf event on a kernel function, then a program's attachment to it: one
/// descriptor, with the tracefs entry that the event needs, if any.
#[derive(Debug)]
pub(crate) struct Attachment {
    // Closed before the entry is removed: fields are dropped in this order.
    pub(crate) fd: Fd,
    pub(crate) entry: Option<Entry>,
}

impl Attachment {
    /// Ends it, like dropping, and says what failed. It has ended in any case.
    pub(crate) fn close(self) -> Result<(), Refusal> {
        let closed = self.fd.close().map_err(Refusal::Close);
        let removed = self.entry.map_or(Ok(()), Entry::remove);
        closed.and(removed.map_err(|errno| Refusal::Tracefs("remove the event", errno)))
    }
}
