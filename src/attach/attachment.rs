//! Owns the descriptors and the tracefs entry of one attachment.

use errno::Errno;

use crate::Error;
use crate::kernel::tracefs::Entry;
use crate::sys::{self, Fd};

/// A perf event on a kernel function or, once a program is attached, the link that holds the
/// event. Also owns the event's tracefs entry, if there is one.
///
/// The fields are dropped in declaration order. The entry must come last, because the kernel
/// refuses to remove an entry while its event is open.
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

    /// Replaces the event with the link that now holds the event.
    pub(crate) fn into_link(self, link: Fd, keep_event: bool) -> Self {
        Self { fd: link, kept_event: keep_event.then_some(self.fd), entry: self.entry }
    }

    /// Returns whether the attachment has a tracefs entry to remove.
    #[cfg(feature = "capi")]
    pub(crate) fn has_entry(&self) -> bool {
        self.entry.is_some()
    }

    /// Returns the descriptor, and closes the event that was kept open, if any. The tracefs entry
    /// is not removed.
    pub(crate) fn into_fd(self) -> Fd {
        if let Some(entry) = self.entry {
            entry.leave();
        }
        self.fd
    }

    /// Returns how many function entries (or, for a return probe, how many returns) the kernel
    /// missed, if the kernel reports the number.
    pub(crate) fn missed(&self) -> Option<u64> {
        let of_entry = || self.entry.as_ref().and_then(Entry::missed);
        sys::bpf_link_missed(self.fd.as_raw()).or_else(of_entry)
    }

    /// Detaches the program, as dropping the attachment does, but reports errors. The descriptors
    /// are closed even after an error. It is not an error if a pin or a copy of the descriptor
    /// keeps the program attached.
    pub(crate) fn detach(self) -> Result<(), Error> {
        match self.close() {
            Err(Error::Tracefs { errno: libc::EBUSY, .. }) => Ok(()),
            closed => closed,
        }
    }

    /// Like `detach`, but fails with EBUSY, as libbpf does, if something else still uses the
    /// tracefs entry.
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

    const LINK: u64 = 7; // BPF_LINK_TYPE_PERF_EVENT; the upper half is the link's id
    const KRETPROBE: u64 = 4;

    fn missed(entry: Option<EntryName>, kernel: Kernel) -> Option<u64> {
        let (missed, _) = kernel.run(|| {
            // SAFETY: this is not a real descriptor, and only the fake kernel sees it.
            let fd = unsafe { Fd::from_raw(20) };
            let attachment = Attachment::new(fd, entry.map(Entry::of));
            let missed = attachment.missed();
            core::mem::forget(attachment);
            missed
        });
        missed
    }

    #[test]
    fn missed_reads_the_links_info_if_the_kernel_has_it() {
        let ask = |info| missed(None, Kernel { info, ..Kernel::new() });
        assert_eq!(ask(&[LINK | 3 << 32, 9, KRETPROBE, 0, 0, 0, 990, 5]), Some(990));
        assert_eq!(ask(&[LINK, 9, KRETPROBE, 0, 0, 0, 0]), Some(0));
        // On Linux 6.6, the link info lacks the `missed` field. On Linux 5.15, the link info
        // contains only the kind of link.
        assert_eq!(ask(&[LINK, 9, KRETPROBE, 0, 0, 0]), None);
        assert_eq!(ask(&[LINK, 9, 0, 0]), None);
        // Not a link.
        assert_eq!(ask(&[]), None);
        // A kprobe.multi link reports missed calls in a different field. Links of other kinds,
        // including uprobe links, do not report missed calls.
        assert_eq!(ask(&[8, 9, 0, 300, 990, 0, 1]), Some(990));
        assert_eq!(ask(&[12, 9, 0, 0, 990, 0, 990]), None);
        assert_eq!(ask(&[LINK, 9, 1, 0, 0, 0, 990]), None);
    }

    #[test]
    fn missed_falls_back_to_kprobe_profile() {
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
