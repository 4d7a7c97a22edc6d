//! Checks whether the kernel supports BPF links for perf events (Linux 5.15).

use super::LEARNT;
use crate::sys;

/// Returns false if the kernel may lack links for perf events. If this function returns true,
/// EINVAL from `BPF_LINK_CREATE` is taken to mean that the program is not suitable, and the ioctl
/// must not be tried. The ioctl does not check what a program was loaded for, and a kprobe.multi
/// program that was attached in this way can crash the kernel.
///
/// This function tests whether the kernel supports kprobe.multi (Linux 5.18), which is newer than
/// links for perf events (5.15). From Linux 5.15 to 5.17, `BPF_LINK_CREATE` and the ioctl check the
/// program in the same function (`perf_event_set_bpf_prog()` in kernel/events/core.c), so the ioctl
/// also refuses a program that `BPF_LINK_CREATE` refused.
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
