//! Attaching a program to a perf event: by a BPF link, or on kernels that have none of
//! perf events (before Linux 5.15) to the event itself.

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::attachment::Attachment;
use crate::refusal::Refusal;
use crate::sys;

/// Attaches a program to an event, which then is the attachment's if it is not the
/// attachment itself.
#[inline(never)]
pub(crate) fn attach(
    program: c_int,
    event: Attachment,
    cookie: u64,
) -> Result<Attachment, Refusal> {
    // On failure the event is dropped whole, for its parts have an order.
    match sys::bpf_link_create(program, event.fd.as_raw(), cookie) {
        // The link holds the event.
        Ok(fd) => return Ok(Attachment { fd, entry: event.entry }),
        Err(errno) if errno.0 != libc::EINVAL || always_has_links() => {
            return Err(Refusal::LinkCreate(errno));
        }
        Err(_) => {}
    }
    sys::perf_event_set_bpf(event.fd.as_raw(), program).map_err(Refusal::SetBpf)?;
    if cookie != 0 {
        return Err(Refusal::CookieUnsupported);
    }
    Ok(event)
}

/// Whether the kernel surely has links of perf events, so that its EINVAL is about
/// the program. The ioctl must not be tried then: it does not look at what a program
/// was loaded for, and one for kprobe.multi can crash the kernel when it runs.
///
/// What tells is not the program but whether the kernel knows kprobe.multi (5.18),
/// which is newer than the links (5.15). A kernel between the two checks programs by
/// the same function for both (`perf_event_set_bpf_prog()` of kernel/events/core.c),
/// so there the ioctl refuses what the link has refused.
fn always_has_links() -> bool {
    static MAY_HAVE_NONE: AtomicBool = AtomicBool::new(false);
    if !MAY_HAVE_NONE.load(Ordering::Relaxed) {
        let answer = sys::bpf_link_create_multi_without_program().0;
        // EBADF says yes. What else there is, a filter of the process's calls, say, is no
        // answer, and is not kept.
        if !matches!(answer, libc::EINVAL | libc::E2BIG) {
            return true;
        }
        MAY_HAVE_NONE.store(true, Ordering::Relaxed);
    }
    false
}
