//! A program attached to the functions that serve a call to several callers, as one link:
//! what `KSYSCALL_CALLERS` asks for.

use core::ffi::c_int;

use super::libbpf::Libbpf;
use super::link::{self, Base, Object};
use super::remembered::REMEMBERED;
use super::{Failure, bpf_link};
use crate::attach::Options;
use crate::attach::many::{Call, Many};
use crate::attachment::Attachment;
use crate::kernel::disarmed::disarmed;
use crate::refusal::Place;
use crate::resolve::Callers;
use crate::resolve::callers::SIDES;
use crate::sys::Fd;

/// A link of several attachments, one for each side that callers come from. It has no
/// descriptor that stands for all: what takes one, as pinning, fails with `EBADF`.
#[repr(C)]
struct Several {
    base: Base,
    attachments: [Option<Attachment>; SIDES],
    kept_events: [Option<Fd>; SIDES],
}

const NO_FD: c_int = -1;

/// Attaches, and makes the object that stands for it.
pub(super) fn make(
    libbpf: &Libbpf,
    program_fd: c_int,
    place: &mut Place,
    options: Options,
    callers: Callers,
) -> Result<*mut bpf_link, Failure> {
    if !link::has_our_layout(libbpf) {
        return Err(Failure::NoLink);
    }
    if REMEMBERED.is_first_attach() {
        if let Some(state) = disarmed() {
            return Err(Failure::Disarmed(state));
        }
    }
    let mut calls = alloc::vec::Vec::new();
    calls.try_reserve_exact(1).map_err(|_| Failure::NoMemory)?;
    calls.push(Call { name: place.name, cookie: options.cookie, callers });
    let many = Many::start(program_fd, options, calls, false, place);
    let mut many = many.map_err(Failure::Attach)?;
    if let Some((_, Err(refusal))) = many.next(place) {
        return Err(Failure::Attach(refusal));
    }
    // SAFETY: malloc may be called with any size.
    let memory = unsafe { libc::malloc(size_of::<Several>().max(size_of::<Object>())) };
    if memory.is_null() {
        return Err(Failure::NoMemory);
    }
    let (mut attachments, kept_events) = many.into_all();
    let (mut attachments, mut kept_events) = (attachments.take(), kept_events.into_iter());
    match (attachments.next(), attachments.next()) {
        (Some(one), None) => {
            let object = Object::of(one, kept_events.next());
            // SAFETY: malloc gave room for it, aligned for anything.
            unsafe { memory.cast::<Object>().write(object) };
        }
        (first, second) => {
            let mut all = [first, second].into_iter().flatten().chain(attachments);
            let several = Several {
                base: Base::of(detach, NO_FD),
                attachments: core::array::from_fn(|_| all.next()),
                kept_events: core::array::from_fn(|_| kept_events.next()),
            };
            // SAFETY: the same.
            unsafe { memory.cast::<Several>().write(several) };
        }
    }
    Ok(memory.cast::<bpf_link>())
}

/// # Safety
/// `link` is a [`Several`], and this is called once: by `bpf_link__destroy`.
unsafe extern "C" fn detach(link: *mut bpf_link) -> c_int {
    // SAFETY: the object begins with what libbpf has a pointer to.
    let several = unsafe { &mut *link.cast::<Several>() };
    // First, for a tracefs entry in use cannot be removed.
    several.kept_events.fill_with(|| None);
    let mut result = 0;
    for attachment in several.attachments.iter_mut().filter_map(Option::take) {
        if let (Err(refusal), 0) = (attachment.close(), result) {
            result = -refusal.errno().0;
        }
    }
    result
}

/// Whether `link` is of several.
///
/// # Safety
/// `link` is a link.
pub(super) unsafe fn is_several(link: *const bpf_link) -> bool {
    // SAFETY: every link begins with its detach function.
    unsafe { link::is_ended_by(link, detach) }
}

/// How many calls the kernel missed at all of them, if `link` is of several and it says so.
///
/// # Safety
/// `link` is one of libbpf's or of this library's.
pub(super) unsafe fn missed(link: *const bpf_link) -> Option<u64> {
    // SAFETY: every link begins with the base.
    let is_of_several = unsafe { &*link.cast::<Base>() }.is_ended_by(detach);
    // SAFETY: it has our function.
    let several = is_of_several.then(|| unsafe { &*link.cast::<Several>() })?;
    several.attachments.iter().flatten().map(Attachment::missed).sum()
}
