//! What has to be closed: a perf event, or the link that holds one.

use crate::kernel::tracefs::Entry;
use crate::refusal::Refusal;
#[cfg(feature = "more")]
use crate::sys;
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
    /// How often the kernel missed the function's entry or return, if it says so.
    #[cfg(feature = "more")]
    pub(crate) fn missed(&self) -> Option<u64> {
        let of_entry = || self.entry.as_ref().and_then(Entry::missed);
        sys::bpf_link_missed(self.fd.as_raw()).or_else(of_entry)
    }

    /// Ends it, like dropping, and says what failed. It has ended in any case.
    pub(crate) fn close(self) -> Result<(), Refusal> {
        let closed = self.fd.close().map_err(Refusal::Close);
        let removed = self.entry.map_or(Ok(()), Entry::remove);
        // A pin, or another process's copy of the descriptor, holds the event still, as it may
        // one without an entry.
        #[cfg(feature = "more")]
        let removed = match removed {
            Err(errno::Errno(libc::EBUSY)) => Ok(()),
            removed => removed,
        };
        closed.and(removed.map_err(|errno| Refusal::Tracefs("remove the event", errno)))
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
            let attachment = Attachment { fd, entry: entry.map(Entry::of) };
            let missed = attachment.missed();
            if let Some(entry) = attachment.entry {
                entry.leave();
            }
            missed
        });
        missed
    }

    #[test]
    fn the_links_number_is_believed_where_the_kernel_has_one() {
        let ask = |link_info| missed(None, Kernel { link_info, ..Kernel::new() });
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
