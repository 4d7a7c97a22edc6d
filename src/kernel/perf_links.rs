//! Checks whether the kernel has BPF links for perf events (Linux 5.15).

use super::LEARNT;
use crate::sys;

/// Whether the kernel certainly has links for perf events, so that EINVAL from `BPF_LINK_CREATE` is
/// about the program. The ioctl must not be tried then: it does not check what a program was loaded
/// for, and a kprobe.multi program can crash the kernel when it runs.  The test is whether the
/// kernel has kprobe.multi (Linux 5.18), which is newer than the links (5.15). Kernels between the
/// two check the program with the same function in both interfaces
/// (`perf_event_set_bpf_prog()` of kernel/events/core.c), so the ioctl refuses what the link
/// refused.
pub(crate) fn always_has_links() -> bool {
    if LEARNT.may_lack_perf_links.get().is_none() {
        let answer = sys::bpf_link_create_multi_without_program().0;
        // EBADF means yes. Other errnos, for example from a seccomp filter, prove nothing and are
        // not cached.
        if !matches!(answer, libc::EINVAL | libc::E2BIG) {
            return true;
        }
        LEARNT.may_lack_perf_links.set(1);
    }
    false
}
