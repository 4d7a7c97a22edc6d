//! Holds what must be closed to detach a program: a perf event, or the link that holds one.

use errno::Errno;

use crate::Error;
use crate::kernel::tracefs::Entry;
use crate::sys::{self, Fd};

/// A perf event on a kernel function, then a program's attachment to it: one
/// descriptor, with the event's own if that is kept beside the link's, and the tracefs
/// entry that the event needs, if any.
///
/// The kernel refuses to remove an entry whose event is open. Fields are dropped in this
/// order, and whoever keeps an attachment keeps it whole.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub(crate) fd: Fd,
    kept_event: Option<Fd>,
    entry: Option<Entry>,
}

impl Attachment {
    pub(crate) fn new(fd: Fd, entry: Option<Entry>) -> Self {
        Self { fd, kept_event: None, entry }
    }

    /// Makes the attachment of an event that of the link which holds it.
    pub(crate) fn into_link(self, link: Fd, keep_event: bool) -> Self {
        Self { fd: link, kept_event: keep_event.then_some(self.fd), entry: self.entry }
    }

    /// Whether there is a tracefs entry to remove.
    #[cfg(feature = "capi")]
    pub(crate) fn has_entry(&self) -> bool {
        self.entry.is_some()
    }

    /// The descriptor, without the event's: the entry stays in the kernel.
    pub(crate) fn into_fd(self) -> Fd {
        if let Some(entry) = self.entry {
            entry.leave();
        }
        self.fd
    }

    /// How often the kernel missed the function's entry or return, if it reports that.
    pub(crate) fn missed(&self) -> Option<u64> {
        let of_entry = || self.entry.as_ref().and_then(Entry::missed);
        sys::bpf_link_missed(self.fd.as_raw()).or_else(of_entry)
    }

    /// Ends the attachment, as dropping does, and reports what failed; it has ended in any case. It
    /// is no failure if something else still holds it, such as a pin or a copy of the descriptor.
    pub(crate) fn detach(self) -> Result<(), Error> {
        match self.close() {
            Err(Error::Tracefs { errno: libc::EBUSY, .. }) => Ok(()),
            closed => closed,
        }
    }

    /// The same, but EBUSY if something else still holds the tracefs entry, as in libbpf.
    pub(crate) fn close(self) -> Result<(), Error> {
        let closed = self.fd.close().map_err(|Errno(errno)| Error::Close { errno });
        drop(self.kept_event);
        let removed = self.entry.map_or(Ok(()), Entry::remove);
        let step = "remove the event";
        closed.and(removed.map_err(|Errno(errno)| Error::Tracefs { step, errno }))
    }
}

#[cfg(test)]
#[allow(unsafe_code)]
mod tests {
    use super::*;
    use crate::kernel::tracefs::EntryName;
    use crate::sys::fake::Kernel;

    const LINK: u64 = 7; // BPF_LINK_TYPE_PERF_EVENT, and above it the link's id
    const KRETPROBE: u64 = 4;

    fn missed(entry: Option<EntryName>, kernel: Kernel) -> Option<u64> {
        let (missed, _) = kernel.run(|| {
            // SAFETY: it is no real descriptor, and closed by the kernel that stands in.
            let fd = unsafe { Fd::from_raw(20) };
            let attachment = Attachment::new(fd, entry.map(Entry::of));
            let missed = attachment.missed();
            core::mem::forget(attachment);
            missed
        });
        missed
    }

    #[test]
    fn the_links_number_is_believed_where_the_kernel_has_one() {
        let ask = |info| missed(None, Kernel { info, ..Kernel::new() });
        assert_eq!(ask(&[LINK | 3 << 32, 9, KRETPROBE, 0, 0, 0, 990, 5]), Some(990));
        assert_eq!(ask(&[LINK, 9, KRETPROBE, 0, 0, 0, 0]), Some(0));
        // Linux 6.6 has all but the last, and 5.15 says no more than what kind of link it is.
        assert_eq!(ask(&[LINK, 9, KRETPROBE, 0, 0, 0]), None);
        assert_eq!(ask(&[LINK, 9, 0, 0]), None);
        // It is no descriptor of a link.
        assert_eq!(ask(&[]), None);
        // A kprobe.multi link has it elsewhere; others, a perf event's of a uprobe too, have none.
        assert_eq!(ask(&[8, 9, 0, 300, 990, 0, 1]), Some(990));
        assert_eq!(ask(&[12, 9, 0, 0, 990, 0, 990]), None);
        assert_eq!(ask(&[LINK, 9, 1, 0, 0, 0, 990]), None);
    }

    #[test]
    fn otherwise_the_entrys_line_of_kprobe_profile_is() {
        const FILES: &[(&str, &str)] = &[(
            "/sys/kernel/tracing/kprobe_profile",
            "  p1_2_4_33                            1   2\n  p1_2_4_3            10             989\n",
        )];
        let ask = |number| {
            let name = EntryName { namespace: 1, pid: 2, started: 4, number };
            missed(Some(name), Kernel { files: FILES, ..Kernel::new() })
        };
        assert_eq!(ask(3), Some(989));
        assert_eq!(ask(33), Some(2));
        assert_eq!(ask(4), None);
        let unreadable = EntryName { namespace: 1, pid: 2, started: 4, number: 3 };
        assert_eq!(missed(Some(unreadable), Kernel::new()), None);
    }
}
