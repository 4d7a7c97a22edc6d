//! Destroys many links, created by this library or by libbpf, concurrently.

use alloc::vec::Vec;
use core::cell::LazyCell;
use core::ffi::{CStr, c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicI64, Ordering};

use super::libbpf::Handle;
use super::{bpf_link, link};
use crate::attach::attachments::THREADS;
use crate::kernel::tracefs;
use crate::sys::{self, Fd, ProbeLink};

/// The error from the first link, in list order, that could not be destroyed.
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

    /// Returns the negative errno of the first failure, or 0 if there was none.
    pub(super) fn result(self) -> c_int {
        match self.0.into_inner() {
            i64::MAX => 0,
            failed => -((failed & ((1 << Self::ERRNO_BITS) - 1)) as c_int),
        }
    }
}

/// The slow part of destroying a link. This part runs no libbpf code.
enum Ending {
    /// A link that this library created and that has yet to be detached.
    Ours(*mut bpf_link),
    /// A copy of the descriptor of a link that libbpf has destroyed.
    Held(Fd),
}

// SAFETY: the caller has given up the link, and only one thread uses it.
unsafe impl Send for Ending {}

/// Destroys links. Returns 0, or the negative errno for the first link in the list that could not
/// be destroyed.
///
/// libbpf's code runs only in this thread, for one link at a time, because libbpf's USDT links
/// share their object's state without a lock, and because libbpf may call the program's print
/// callback. Only the slow part, waiting in the kernel, is spread over several threads.
///
/// # Safety
/// `links` must have `n` elements, each NULL or a link that nobody else uses.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_destroy_all(links: *mut *mut bpf_link, n: usize) -> c_int {
    if links.is_null() {
        return if n == 0 { 0 } else { -libc::EINVAL };
    }
    let first = FirstFailure::none();
    let mut endings = Vec::new();
    // If memory runs out, the loop at the end destroys all links, one after the other.
    if endings.try_reserve_exact(n).is_ok() {
        let may_have_entries: LazyCell<bool> = LazyCell::new(tracefs::may_have_entries);
        for index in 0..n {
            // SAFETY: there are `n` elements, and each link is destroyed once.
            unsafe {
                let place = links.add(index);
                if place.read().is_null() {
                } else if link::is_ours(*place) {
                    endings.push((index, Ending::Ours(*place)));
                } else {
                    let link = place.replace(ptr::null_mut());
                    let copy = hold(link, &may_have_entries);
                    endings.extend(copy.map(|fd| (index, Ending::Held(fd))));
                    first.record(index, destroy(link));
                }
            }
        }
        sys::consume_in_parallel(endings, THREADS, &|_, (index, ending)| match ending {
            // SAFETY: the link is ours, and only this thread uses it.
            Ending::Ours(link) => first.record(index, unsafe { link::end(link) }),
            Ending::Held(fd) => drop(fd),
        });
    }
    for index in 0..n {
        // SAFETY: there are `n` elements, and every link still in the list has yet to be destroyed.
        first.record(index, unsafe { destroy(links.add(index).replace(ptr::null_mut())) });
    }
    first.result()
}

/// Keeps a link of libbpf's open, so that libbpf destroys the link without waiting: copies the
/// link's descriptor if the link is a BPF link for a kprobe. The kernel detaches a BPF link of this
/// kind independently of others, when the link's last descriptor is closed.
///
/// A probe that libbpf created through tracefs must be closed before libbpf removes the probe's
/// entry. The kernel does not report which links use tracefs, so no descriptor is copied while
/// tracefs may contain entries.
///
/// # Safety
/// `link` must be a link.
unsafe fn hold(link: *const bpf_link, may_have_entries: &LazyCell<bool>) -> Option<Fd> {
    // SAFETY: guaranteed by the caller.
    let fd = unsafe { libbpfs(c"bpf_link__fd", link)?(link.cast_mut()) };
    // For a link that consists of other links, such as a USDT link, `bpf_link__fd()` returns 0. If
    // descriptor 0 happens to be a link, copying it is harmless: the owner still holds descriptor
    // 0, so the copy does not keep that link attached any longer.
    if sys::bpf_probe_link(fd)? == ProbeLink::PerfEvent && **may_have_entries {
        return None;
    }
    // The copy is never standard input, output or error.
    Fd::copy_of(fd, 3).ok()
}

/// Finds a function in the libbpf that created the link, or in the usual libbpf if this library
/// created the link.
///
/// # Safety
/// `link` must be a link, and the function `name` must take a link and return a number.
unsafe fn libbpfs(
    name: &CStr,
    link: *const bpf_link,
) -> Option<unsafe extern "C" fn(*mut bpf_link) -> c_int> {
    // SAFETY: a link begins with the address of its detach function. libbpf.h declares the named
    // function with this type, and NULL becomes None.
    unsafe {
        let libbpf = Handle::of_caller(link.cast::<*const c_void>().read())?;
        core::mem::transmute(libbpf.address(name))
    }
}

/// Calls `bpf_link__destroy()` in the libbpf that created the link.
///
/// # Safety
/// `link` must be NULL or a link that nobody else uses.
unsafe fn destroy(link: *mut bpf_link) -> c_int {
    if link.is_null() {
        return 0;
    }
    // SAFETY: guaranteed by the caller.
    let destroy = unsafe { libbpfs(c"bpf_link__destroy", link) };
    // SAFETY: guaranteed by the caller.
    destroy.map_or(-libc::ELIBACC, |destroy| unsafe { destroy(link) })
}
