//! Makes one C link of a program's attachments to the functions that serve a call to several
//! callers: what `KSYSCALL_CALLERS` asks for.

use core::ffi::c_int;

use super::link::{self, Base, Object};
use super::{Failure, Request, bpf_link};
use crate::Error;
use crate::attach::attachment::Attachment;
use crate::attach::many::Many;
use crate::attach::plan::Call;
use crate::calls::abi::Abi;

/// A link of several attachments, one for each ABI of its callers. It has no single descriptor, so
/// that an operation on the link's descriptor, such as pinning, fails with `EBADF`.
#[repr(C)]
struct Several {
    base: Base,
    attachments: [Option<Attachment>; Abi::ALL.len()],
}

const NO_FD: c_int = -1;

/// Attaches, and makes the object that stands for it.
pub(super) fn make(request: &Request) -> Result<*mut bpf_link, Failure> {
    let Request { libbpf, program_fd, name, options, callers, .. } = request;
    if !link::has_our_layout(libbpf) {
        return Err(Failure::NoLink);
    }
    let call = Call { name: *name, cookie: options.cookie, callers: *callers };
    let mut many = Many::start(*program_fd, *options, &[call], false)?;
    if let Some((_, Err(error))) = many.next(*program_fd) {
        return Err(error.into());
    }
    // SAFETY: malloc may be called with any size.
    let memory = unsafe { libc::malloc(size_of::<Several>().max(size_of::<Object>())) };
    if memory.is_null() {
        return Err(Error::NoMemory.into());
    }
    let mut attachments = many.into_attachments();
    let mut attachments = attachments.take();
    match (attachments.next(), attachments.next()) {
        (Some(one), None) => {
            // SAFETY: malloc gave room for it, aligned for anything.
            unsafe { memory.cast::<Object>().write(Object::of(one)) };
        }
        (first, second) => {
            let mut all = [first, second].into_iter().flatten().chain(attachments);
            let several = Several {
                base: Base::of(detach, NO_FD),
                attachments: core::array::from_fn(|_| all.next()),
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
    let mut result = 0;
    for attachment in several.attachments.iter_mut().filter_map(Option::take) {
        if let (Err(error), 0) = (attachment.close(), result) {
            result = -error.errno();
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

/// How many calls the kernel missed at all of them, if `link` is of several and the kernel reports
/// that.
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
