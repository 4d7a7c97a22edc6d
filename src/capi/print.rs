//! libbpf's print callback, which it tells only when another is set.
//!
//! To know the callback it is replaced for a moment. `libbpf_set_print()` is
//! therefore ours too: what a program sets meanwhile waits until the callback is
//! back, so that neither is lost. In its place stands a function which waits
//! likewise, and hands libbpf's message on.

use core::ffi::c_void;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use super::libbpf::{Libbpf, Print};
use crate::sys;

/// The process of the thread that has the callback out, or 0. Another's, copied by
/// fork(2), does not put it back.
static OUT: AtomicU32 = AtomicU32::new(0);
/// The callback as it was found last.
static FOUND: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

/// Runs `action` while no other thread of this process changes the callback.
fn alone<T>(action: impl FnOnce() -> T) -> T {
    let own = sys::process_id() as u32;
    while OUT.swap(own, Ordering::Acquire) == own {
        sys::yield_now();
    }
    let result = action();
    OUT.store(0, Ordering::Release);
    result
}

impl Libbpf {
    /// The callback of `libbpf_set_print()`; None if nothing is to be printed.
    /// Meanwhile libbpf has `hold`.
    pub(super) fn print_callback(&self, hold: Option<Print>) -> Option<Print> {
        let set_print = self.own_libbpf_set_print()?;
        alone(|| {
            // SAFETY: of what libbpf takes here the first is our own, and the others it has had.
            unsafe {
                let found = replaced(set_print(hold), hold);
                FOUND.store(as_pointer(found), Ordering::Relaxed);
                let (mut taken, mut put) = (hold, found);
                loop {
                    // Who has asked for libbpf's own function can have set another meanwhile.
                    let other = set_print(put);
                    if as_pointer(other) == as_pointer(taken) {
                        return found;
                    }
                    (taken, put) = (put, other);
                }
            }
        })
    }
}

/// `libbpf_set_print()`, which waits while the callback is out.
///
/// # Safety
/// `callback` is what libbpf takes, and `hold` what [`Libbpf::print_callback`] is given.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_set_print(
    callback: Option<Print>,
    hold: Option<Print>,
) -> Option<Print> {
    let set_print = Libbpf::usual()?.own_libbpf_set_print()?;
    // SAFETY: the caller's promise.
    alone(|| replaced(unsafe { set_print(callback) }, hold))
}

/// The callback, when it is back in its place.
#[unsafe(no_mangle)]
extern "C" fn ksyscall_found_print() -> Option<Print> {
    alone(found)
}

/// What libbpf had as its callback. A process that was forked while it was out still has ours.
fn replaced(callback: Option<Print>, hold: Option<Print>) -> Option<Print> {
    if as_pointer(callback) == as_pointer(hold) { found() } else { callback }
}

fn found() -> Option<Print> {
    // SAFETY: it is NULL, which is None, or was a callback.
    unsafe { core::mem::transmute(FOUND.load(Ordering::Relaxed)) }
}

fn as_pointer(callback: Option<Print>) -> *mut c_void {
    callback.map_or(core::ptr::null_mut(), |callback| callback as *mut c_void)
}
