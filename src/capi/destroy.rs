//! Destroys many links, of this library or of libbpf, concurrently.

use alloc::vec::Vec;
use core::ffi::{CStr, c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicI64, Ordering};

use super::libbpf::Handle;
use super::{bpf_link, link};
use crate::attach::attachments::THREADS;
use crate::kernel::tracefs;
use crate::sys::{self, Fd, ProbeLink};

/// The first failure in the order of the links.
pub(super) struct FirstFailure(AtomicI64);

impl FirstFailure {
    const ERRNO_BITS: u32 = 12;

    pub(super) fn none() -> Self {
        Self(AtomicI64::new(i64::MAX))
    }

    /// Records the result for one link: 0 or a negative errno.
    pub(super) fn record(&self, index: usize, result: c_int) {
        if result < 0 {
            let errno = i64::from(result.saturating_neg()) & ((1 << Self::ERRNO_BITS) - 1);
            self.0.fetch_min((index as i64) << Self::ERRNO_BITS | errno, Ordering::Relaxed);
        }
    }

    /// 0, or the negative errno.
    pub(super) fn result(self) -> c_int {
        match self.0.into_inner() {
            i64::MAX => 0,
            failed => -((failed & ((1 << Self::ERRNO_BITS) - 1)) as c_int),
        }
    }
}

/// The slow part of destroying a link. It runs no code of libbpf.
enum Ending {
    /// A link of this library, which is still attached.
    Ours(*mut bpf_link),
    /// A copy of the descriptor of a link that libbpf has destroyed.
    Held(Fd),
}

// SAFETY: the caller has given the link away, and one thread takes it.
unsafe impl Send for Ending {}

/// Destroys links, and returns 0 or the first negative errno in their order.
///
/// libbpf's code runs in this thread alone, for one link after the other: its USDT links share
/// state of their object without a lock, and its print callback is the program's. The wait in
/// the kernel is what takes long, and only that is done by several threads.
///
/// # Safety
/// `links` has `n` places, each with NULL or a link that nobody else uses.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_destroy_all(links: *mut *mut bpf_link, n: usize) -> c_int {
    if links.is_null() {
        return if n == 0 { 0 } else { -libc::EINVAL };
    }
    let first = FirstFailure::none();
    let mut endings = Vec::new();
    // Without memory the loop at the end destroys all of them, one after the other.
    if endings.try_reserve_exact(n).is_ok() {
        let mut holder = Holder { may_have_entries: None };
        for index in 0..n {
            // SAFETY: there are `n` places, with links of which each is ended once.
            unsafe {
                let place = links.add(index);
                if place.read().is_null() {
                } else if link::is_ours(*place) {
                    endings.push((index, Ending::Ours(*place)));
                } else {
                    let link = place.replace(ptr::null_mut());
                    endings.extend(holder.hold(link).map(|fd| (index, Ending::Held(fd))));
                    first.record(index, destroy(link));
                }
            }
        }
        sys::consume_in_parallel(endings, THREADS, &|_, (index, ending)| match ending {
            // SAFETY: it is ours, and this thread's.
            Ending::Ours(link) => first.record(index, unsafe { link::end(link) }),
            Ending::Held(fd) => drop(fd),
        });
    }
    for index in 0..n {
        // SAFETY: there are `n` places, and what is left in them is our links.
        first.record(index, unsafe { destroy(links.add(index).replace(ptr::null_mut())) });
    }
    first.result()
}

/// Keeps links of libbpf open, so that libbpf destroys them without waiting.
struct Holder {
    /// [`tracefs::may_have_entries`], once it was called.
    may_have_entries: Option<bool>,
}

impl Holder {
    /// Copies the descriptor of a link, if it is of a kind that kprobes have: the kernel ends
    /// such links independently of each other, when their last descriptor is closed.
    ///
    /// A probe that libbpf made through tracefs must have ended when libbpf removes its entry.
    /// The kernel does not tell such a link from others, so none is copied while there are
    /// entries.
    ///
    /// # Safety
    /// `link` is a link.
    unsafe fn hold(&mut self, link: *const bpf_link) -> Option<Fd> {
        // SAFETY: the caller's promise.
        let fd = unsafe { libbpfs(c"bpf_link__fd", link)?(link.cast_mut()) };
        // A link that consists of others, like that of a USDT, has 0 there. If that is a
        // descriptor of some link, a copy does not change when that link ends: its owner
        // still has the descriptor.
        if sys::bpf_probe_link(fd)? == ProbeLink::PerfEvent
            && *self.may_have_entries.get_or_insert_with(tracefs::may_have_entries)
        {
            return None;
        }
        Fd::copy_of(fd).ok()
    }
}

/// A function that takes the link and returns a number, of the libbpf that made the link, or for
/// this library's own of the usual one.
///
/// # Safety
/// `link` is a link, and `name` that of such a function.
unsafe fn libbpfs(
    name: &CStr,
    link: *const bpf_link,
) -> Option<unsafe extern "C" fn(*mut bpf_link) -> c_int> {
    // SAFETY: a link begins with the address of its detach function. libbpf.h declares the function
    // so, and NULL is None.
    unsafe {
        let libbpf = Handle::of_caller(link.cast::<*const c_void>().read())?;
        core::mem::transmute(libbpf.address(name))
    }
}

/// `bpf_link__destroy()` of the link's libbpf.
///
/// # Safety
/// `link` is NULL or a link that nobody else uses.
unsafe fn destroy(link: *mut bpf_link) -> c_int {
    if link.is_null() {
        return 0;
    }
    // SAFETY: the caller's promise.
    let destroy = unsafe { libbpfs(c"bpf_link__destroy", link) };
    // SAFETY: the caller's promise.
    destroy.map_or(-libc::ELIBACC, |destroy| unsafe { destroy(link) })
}
