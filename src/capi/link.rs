//! The link that C gets: an object that libbpf's `bpf_link__*` functions work on.
//!
//! libbpf's links begin with a private `struct bpf_link`, the same in every
//! release from 0.0.8 to 1.7. Ours begin with it too. Whether the loaded libbpf
//! still has that layout is asked of its own accessors; if it has not, libbpf
//! makes the link.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;

use super::libbpf::Libbpf;
use super::remembered::REMEMBERED;
use super::{Failure, bpf_link, bpf_program, warning};
use crate::attach::perf_link;
use crate::attach::{self, Options, Target};
use crate::attachment::Attachment;
use crate::kernel::disarmed::disarmed;
use crate::kernel::tracefs::Entry;
use crate::refusal::Place;
use crate::sys::Fd;

pub(super) type Detach = unsafe extern "C" fn(*mut bpf_link) -> c_int;

/// libbpf's `struct bpf_link` (its src/libbpf.c).
#[repr(C)]
pub(super) struct Base {
    /// Ends the attachment; called by `bpf_link__destroy` unless `disconnected`.
    detach: Option<Detach>,
    /// Frees the object. Without one every release calls free() for it.
    dealloc: Option<unsafe extern "C" fn(*mut bpf_link)>,
    /// Freed with free().
    pin_path: *mut c_char,
    fd: c_int,
    disconnected: bool,
}

impl Base {
    pub(super) fn of(detach: Detach, fd: c_int) -> Self {
        Self {
            detach: Some(detach),
            dealloc: None,
            pin_path: ptr::null_mut(),
            fd,
            disconnected: false,
        }
    }

    #[cfg(feature = "ext")]
    pub(super) fn is_ended_by(&self, detach: Detach) -> bool {
        self.detach.is_some_and(|end| ptr::fn_addr_eq(end, detach))
    }
}

#[repr(C)]
pub(super) struct Object {
    base: Base,
    kept_event: Option<Fd>,
    entry: Option<Entry>,
}

impl Object {
    pub(super) fn of(Attachment { fd, entry }: Attachment, kept_event: Option<Fd>) -> Self {
        Self { base: Base::of(detach, fd.into_raw()), kept_event, entry }
    }
}

/// Makes an object for each attachment; if there is no memory for one, all are closed.
///
/// # Safety
/// There is a place for each.
#[cfg(feature = "ext")]
pub(super) unsafe fn make_all(
    mut attachments: crate::attachments::Attachments,
    links: *mut *mut bpf_link,
) -> Result<(), Failure> {
    let count = attachments.as_slice().len();
    for index in 0..count {
        // SAFETY: malloc may be called with any size; there is a place.
        unsafe {
            let object = libc::malloc(size_of::<Object>());
            links.add(index).write(object.cast());
            if object.is_null() {
                for made in 0..index {
                    libc::free(links.add(made).replace(ptr::null_mut()).cast::<c_void>());
                }
                return Err(Failure::NoMemory);
            }
        }
    }
    for (index, attachment) in attachments.take().enumerate() {
        // SAFETY: there is an object of malloc's in each place.
        unsafe { (*links.add(index)).cast::<Object>().write(Object::of(attachment, None)) };
    }
    Ok(())
}

/// How many entries or returns the kernel missed, if it says so.
///
/// # Safety
/// `link` is one of libbpf's or of this library's.
#[cfg(feature = "ext")]
pub(super) unsafe fn missed(link: *const bpf_link) -> Option<u64> {
    // SAFETY: every link begins with the base.
    let base = unsafe { &*link.cast::<Base>() };
    let of_entry = || {
        // SAFETY: it has our function.
        let object = base.is_ended_by(detach).then(|| unsafe { &*link.cast::<Object>() });
        object?.entry.as_ref()?.missed()
    };
    // SAFETY: the caller's promise.
    let of_several = || unsafe { super::callers::missed(link) };
    crate::sys::bpf_link_missed(base.fd).or_else(of_entry).or_else(of_several)
}

/// Attaches, and makes the object that stands for it.
///
/// # Safety
/// `prog` is a program of `libbpf`, and `program_fd` its fd.
#[inline(never)]
pub(super) unsafe fn make(
    libbpf: &Libbpf,
    prog: *const bpf_program,
    program_fd: c_int,
    place: &mut Place,
    options: Options,
) -> Result<*mut bpf_link, Failure> {
    if !has_our_layout(libbpf) {
        let event = probe_or_warn(place, options)?;
        if event.entry.is_some() {
            // libbpf would not know to remove it.
            return Err(Failure::NoLink);
        }
        // SAFETY: the caller's promise.
        let link = unsafe { libbpf.attach_perf_event(prog, event.fd.as_raw(), options.cookie) }?;
        let _ = event.fd.into_raw();
        return Ok(link);
    }
    // First the memory, so that nothing must be undone for lack of it.
    // SAFETY: malloc may be called with any size.
    let object = unsafe { libc::malloc(size_of::<Object>()) }.cast::<Object>();
    if object.is_null() {
        return Err(Failure::NoMemory);
    }
    let attached = probe_or_warn(place, options)
        .and_then(|event| perf_link::join(program_fd, event, options).map_err(Failure::Attach));
    match attached {
        Ok((attachment, kept_event)) => {
            // SAFETY: malloc gave room for an `Object`, aligned for anything.
            unsafe { object.write(Object::of(attachment, kept_event)) };
            Ok(object.cast::<bpf_link>())
        }
        Err(failure) => {
            // SAFETY: malloc gave the memory, and nobody has it.
            unsafe { libc::free(object.cast::<c_void>()) };
            Err(failure)
        }
    }
}

/// Opens an event for the call. If the kernel runs no probe, and the first time that it
/// is on a function which no call reaches, that is to be said before anything is done.
fn probe_or_warn(place: &mut Place, options: Options) -> Result<Attachment, Failure> {
    if REMEMBERED.is_first_attach() {
        if let Some(state) = disarmed() {
            return Err(Failure::Disarmed(state));
        }
    }
    let Target { event, is_reached } =
        attach::probe_call(place, options).map_err(Failure::Attach)?;
    if !is_reached && warning::is_first_of(&place.symbol) {
        return Err(Failure::Unreached);
    }
    Ok(event)
}

/// # Safety
/// `link` is from [`make`], and this is called once: by `bpf_link__destroy`.
unsafe extern "C" fn detach(link: *mut bpf_link) -> c_int {
    // SAFETY: the object begins with what libbpf has a pointer to.
    let object = unsafe { &mut *link.cast::<Object>() };
    // SAFETY: the object owns the descriptor, and forgets it here.
    let fd = unsafe { Fd::from_raw(core::mem::replace(&mut object.base.fd, -1)) };
    // First, for a tracefs entry in use cannot be removed.
    drop(object.kept_event.take());
    match (Attachment { fd, entry: object.entry.take() }).close() {
        Ok(()) => 0,
        Err(refusal) => -refusal.errno().0,
    }
}

/// Whether the loaded libbpf finds fd, pin path and the disconnected mark of a
/// link where they are in ours. `detach` and `dealloc` stand before them, and
/// leave no room for anything else.
pub(super) fn has_our_layout(libbpf: &Libbpf) -> bool {
    let (Some(link_fd), Some(pin_path), Some(disconnect)) =
        (libbpf.bpf_link__fd(), libbpf.bpf_link__pin_path(), libbpf.bpf_link__disconnect())
    else {
        return false;
    };
    const FD: c_int = 0x5ca1_ab1e;
    /// Room after the link, for a libbpf whose own is longer.
    #[repr(C)]
    struct Probe {
        base: Base,
        room: [usize; 32],
    }
    let mut path: c_char = 0;
    let mut probe = Probe {
        base: Base {
            detach: None,
            dealloc: None,
            pin_path: &raw mut path,
            fd: FD,
            disconnected: false,
        },
        room: [0; 32],
    };
    let link = (&raw mut probe).cast::<bpf_link>();
    // SAFETY: the functions read or write one field of the link, which lies in `probe`.
    let same = unsafe {
        disconnect(link);
        link_fd(link) == FD && ptr::eq(pin_path(link), &raw const path)
    };
    same && probe.base.disconnected && probe.room == [0; 32]
}
