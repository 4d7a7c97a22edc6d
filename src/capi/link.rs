//! Creates the link that the C API returns: an object that libbpf's `bpf_link__*` functions accept.
//!
//! libbpf's links begin with a private `struct bpf_link`, which is the same in every release from
//! 0.0.8 to 1.7. Our links begin with the same struct. `layout.rs` checks whether the loaded libbpf
//! uses that layout. If libbpf's layout differs, libbpf creates the link.

use core::ffi::{c_int, c_void};
use core::ptr;

use super::layout::{Base, Detach};
use super::{Failure, Request, bpf_link};
use crate::Error;
use crate::attach::attachment::Attachment;
use crate::attach::many::Many;
use crate::attach::perf_link;
use crate::attach::plan::BatchCall;
use crate::attach::{self, Target};
use crate::calls::abi::{Abi, Callers};
use crate::calls::table::Row;

#[repr(C)]
struct Object {
    /// `fd` is the attachment's descriptor. With several attachments, `fd` is -1, because no
    /// descriptor represents all of them: operations on the link's descriptor, such as pinning,
    /// fail with `EBADF`.
    base: Base,
    /// One attachment or, with `KSYSCALL_CALLERS`, one attachment for each ABI that the callers
    /// use.
    attachments: [Option<Attachment>; Abi::ALL.len()],
}

impl Object {
    fn of(mut attachments: impl Iterator<Item = Attachment>) -> Self {
        let attachments = core::array::from_fn(|_| attachments.next());
        let fd = match attachments.as_slice() {
            [Some(Attachment { fd, .. }), None, ..] => fd.as_raw(),
            _ => -1,
        };
        let base = Base {
            detach: Some(detach),
            dealloc: None,
            pin_path: ptr::null_mut(),
            fd,
            disconnected: false,
        };
        Self { base, attachments }
    }
}

/// Returns how many times the kernel missed a call of the function, or a return from it, if the
/// kernel reports the number.
///
/// # Safety
/// `link` must be a link that libbpf or this library created.
pub(super) unsafe fn missed(link: *const bpf_link) -> Option<u64> {
    // SAFETY: guaranteed by the caller.
    if unsafe { is_ours(link) } {
        // SAFETY: `is_ours` returned true, so the link is an `Object`.
        let object = unsafe { &*link.cast::<Object>() };
        return object.attachments.iter().flatten().map(Attachment::missed).sum();
    }
    // SAFETY: every link begins with a `Base`.
    crate::sys::bpf_link_missed(unsafe { &*link.cast::<Base>() }.fd)
}

/// Attaches the program, and creates the link.
///
/// # Safety
/// The request's program must belong to the request's libbpf, and `row` must be the table row for
/// the request's call.
pub(super) unsafe fn make(request: &Request, row: Row<'_>) -> Result<*mut bpf_link, Failure> {
    let Request { libbpf, prog, name, options, callers, .. } = request;
    if !libbpf.has_our_layout {
        if !matches!(callers, Callers::Native) {
            return Err(Failure::NoLink);
        }
        let Target { event, .. } = attach::probe_call(name, row, *options)?;
        if event.has_entry() {
            // A link that libbpf creates would not remove the probe's entry from tracefs.
            return Err(Failure::NoLink);
        }
        // SAFETY: guaranteed by the caller.
        let link = unsafe { libbpf.attach_perf_event(*prog, event.fd.as_raw(), options.cookie) }?;
        let _ = event.into_fd().into_raw();
        return Ok(link);
    }
    // Allocate first, so that a failed allocation leaves nothing to undo.
    // SAFETY: malloc may be called with any size.
    let object = unsafe { libc::malloc(size_of::<Object>()) }.cast::<Object>();
    if object.is_null() {
        return Err(Error::NoMemory.into());
    }
    match attached(request, row) {
        Ok(attached) => {
            // SAFETY: the allocated memory has room for an `Object`, and is aligned for any type.
            unsafe { object.write(attached) };
            Ok(object.cast::<bpf_link>())
        }
        Err(error) => {
            // SAFETY: malloc allocated the memory, and nothing else points to it.
            unsafe { libc::free(object.cast::<c_void>()) };
            Err(error.into())
        }
    }
}

fn attached(request: &Request, row: Row<'_>) -> Result<Object, Error> {
    let Request { program_fd, name, options, callers, .. } = request;
    if let Callers::Native = callers {
        let Target { event, symbol, .. } = attach::probe_call(name, row, *options)?;
        let attachment = perf_link::join(*program_fd, event, &symbol, *options)?;
        return Ok(Object::of([attachment].into_iter()));
    }
    // Do not attach to multiplexers: a program attached to semop, for example, would mistake every
    // call through ipc for semop. The programs of an existing tool do not check which call was
    // made.
    let multiplexer = false;
    let call = BatchCall { name: *name, cookie: options.cookie, callers: *callers, multiplexer };
    let mut many = Many::start(*program_fd, *options, &[call], false)?;
    if let Some((_, Err(error))) = many.next(*program_fd) {
        return Err(error);
    }
    Ok(Object::of(many.attachments.take()))
}

/// # Safety
/// `link` must come from [`make`]. This function must be called only once: by `bpf_link__destroy`
/// or [`end`].
unsafe extern "C" fn detach(link: *mut bpf_link) -> c_int {
    // SAFETY: libbpf's pointer points to the beginning of the object.
    let object = unsafe { &mut *link.cast::<Object>() };
    object.base.fd = -1;
    let mut result = 0;
    for place in &mut object.attachments {
        // The first None follows the last attachment.
        let Some(attachment) = place.take() else { break };
        if let (Err(error), 0) = (attachment.close(), result) {
            result = -error.errno();
        }
    }
    result
}

/// Returns whether this library created the link.
///
/// # Safety
/// `link` must begin with its detach function, as every link from libbpf or this library does.
pub(super) unsafe fn is_ours(link: *const bpf_link) -> bool {
    // SAFETY: guaranteed by the caller.
    let end = unsafe { link.cast::<Option<Detach>>().read() };
    end.is_some_and(|end| ptr::fn_addr_eq(end, detach as Detach))
}

/// Detaches the link, unless it is disconnected. After this call, `bpf_link__destroy()` only frees
/// the object.
///
/// # Safety
/// [`is_ours`] must return true for the link, and nobody else may use the link.
pub(super) unsafe fn end(link: *mut bpf_link) -> c_int {
    // SAFETY: our links begin with a `Base`.
    let is_disconnected = unsafe { &mut (*link.cast::<Base>()).disconnected };
    // SAFETY: guaranteed by the caller; from now on, the link is disconnected.
    if core::mem::replace(is_disconnected, true) { 0 } else { unsafe { detach(link) } }
}
