//! Tells whether the kernel has BPF links of perf events (Linux 5.15).

use super::LEARNT;
use crate::sys;

/// Whether the kernel surely has links of perf events, so that its EINVAL is about
/// the program. The ioctl must not be tried then: it does not look at what a program
/// was loaded for, and one for kprobe.multi can crash the kernel when it runs.
///
/// What tells is not the program but whether the kernel knows kprobe.multi (5.18),
/// which is newer than the links (5.15). A kernel between the two checks programs by
/// the same function for both (`perf_event_set_bpf_prog()` of kernel/events/core.c),
/// so there the ioctl refuses what the link has refused.
pub(crate) fn always_has_links() -> bool {
    if LEARNT.may_lack_perf_links.get().is_none() {
        let answer = sys::bpf_link_create_multi_without_program().0;
        // EBADF says yes. What else there is, a filter of the process's calls, say, is no
        // answer, and is not kept.
        if !matches!(answer, libc::EINVAL | libc::E2BIG) {
            return true;
        }
        LEARNT.may_lack_perf_links.set(1);
    }
    false
}
