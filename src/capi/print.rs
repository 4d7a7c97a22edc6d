//! Finds libbpf's print callback, which libbpf returns only when another is set.
//!
//! So the callback is replaced for a moment. The library exports `libbpf_set_print()` as well: a
//! callback that the program sets in that moment waits until the first is back, so neither is lost.
//! The function that is set meanwhile waits likewise, and passes libbpf's message on.

use core::ffi::{c_int, c_void};
use core::sync::atomic::Ordering;

use super::libbpf::{Handle, Libbpf, Print};
use super::remembered::REMEMBERED;
use crate::sys;

unsafe extern "C" {
    /// stderr(3); in late.c, and for libksyscall.a in static.c.
    fn ksyscall_stderr() -> *mut c_void;
    /// ftrylockfile(3) and funlockfile(3).
    fn ftrylockfile(file: *mut c_void) -> c_int;
    fn funlockfile(file: *mut c_void);
}

/// Runs `action` while no other thread of this process changes the callback.
///
/// The lock is the C library's of stderr. All copies of this library in a process share it,
/// glibc's fork(2) leaves it free in the child, and a signal handler that interrupts its holder
/// gets it, too.
fn alone<T>(action: impl Fn() -> T) -> T {
    /// How often to let other threads run, and then how many milliseconds to sleep. Whoever holds
    /// the lock that long cannot write to stderr, or does not exist: in a child of clone(2), or
    /// of musl's fork(2), nobody frees what another thread of the parent has locked.
    const YIELDS: u32 = 100;
    const SLEEPS: u32 = 2_000;
    // SAFETY: it only reads a pointer of the C library's.
    let file = unsafe { ksyscall_stderr() };
    if file.is_null() {
        return action();
    }
    for attempt in 0..YIELDS + SLEEPS {
        // SAFETY: it is a stream.
        if unsafe { ftrylockfile(file) } == 0 {
            let result = action();
            // SAFETY: this thread has locked it.
            unsafe { funlockfile(file) };
            return result;
        }
        if attempt < YIELDS { sys::yield_now() } else { sys::sleep_1ms() }
    }
    action()
}

impl Libbpf {
    /// The callback of `libbpf_set_print()`; None if nothing is to be printed.
    /// Meanwhile libbpf has `hold`.
    pub(super) fn print_callback(&self, hold: Option<Print>) -> Option<Print> {
        let set_print = self.handle()?.own_libbpf_set_print()?;
        alone(|| {
            // SAFETY: of what libbpf takes here the first is our own, and the others it has had.
            unsafe {
                let found = replaced(set_print(hold), hold);
                REMEMBERED.print.store(as_pointer(found), Ordering::Relaxed);
                let (mut taken, mut put) = (hold, found);
                loop {
                    // A caller that holds libbpf's own setter may have set another callback.
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
/// `callback` is what libbpf takes, and `hold` what [`Libbpf::print_callback`] is given;
/// `caller` is where the exported function was called from.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_set_print(
    callback: Option<Print>,
    hold: Option<Print>,
    caller: *const c_void,
) -> Option<Print> {
    let set_print = Handle::of_caller(caller)?.own_libbpf_set_print()?;
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
    unsafe { core::mem::transmute(REMEMBERED.print.load(Ordering::Relaxed)) }
}

fn as_pointer(callback: Option<Print>) -> *mut c_void {
    callback.map_or(core::ptr::null_mut(), |callback| callback as *mut c_void)
}
