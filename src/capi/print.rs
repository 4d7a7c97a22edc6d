//! Finds libbpf's print callback, which libbpf returns only when a new callback is set.
//!
//! This file therefore replaces the callback for a moment and then restores it. This library also
//! exports `libbpf_set_print()`. If the program calls this function while the callback is
//! replaced, the function waits until the original callback is restored, so neither callback is
//! lost. The temporary callback also waits until the original callback is restored, and then passes
//! libbpf's messages on to the original callback.

use core::ffi::{c_char, c_int, c_void};
use core::sync::atomic::Ordering;

use super::libbpf::{Handle, Libbpf, Print};
use super::remembered::REMEMBERED;
use crate::sys;

unsafe extern "C" {
    /// Returns stderr(3). Defined in late.c, or for libksyscall.a in static.c.
    fn ksyscall_stderr() -> *mut c_void;
    /// ftrylockfile(3) and funlockfile(3).
    fn ftrylockfile(file: *mut c_void) -> c_int;
    fn funlockfile(file: *mut c_void);
    /// The callback that temporarily replaces the program's. Defined in entry.c.
    fn ksyscall_hold_print(level: c_int, format: *const c_char, arguments: *mut c_void) -> c_int;
}

const HOLD: Option<Print> = Some(ksyscall_hold_print);

/// Runs `action` while no other thread of this process changes the callback.
///
/// The lock is the C library's lock for stderr. All copies of this library in a process share this
/// lock. glibc's fork(2) leaves the lock unlocked in the child. A signal handler that interrupts
/// the lock's holder can also take the lock.
fn alone<T>(action: impl Fn() -> T) -> T {
    /// How many times to yield to other threads, and then how many times to sleep for 1 ms. A
    /// thread that holds the lock for longer is blocked while writing to stderr, or does not exist
    /// in this process. In a child of clone(2) or of musl's fork(2), a lock that was held by
    /// another thread of the parent is never released.
    const YIELDS: u32 = 100;
    const SLEEPS: u32 = 2_000;
    // SAFETY: the function only reads one of the C library's pointers.
    let file = unsafe { ksyscall_stderr() };
    if file.is_null() {
        return action();
    }
    for attempt in 0..YIELDS + SLEEPS {
        // SAFETY: `file` is a stream.
        if unsafe { ftrylockfile(file) } == 0 {
            let result = action();
            // SAFETY: this thread holds the lock.
            unsafe { funlockfile(file) };
            return result;
        }
        if attempt < YIELDS { sys::yield_now() } else { sys::sleep_1ms() }
    }
    action()
}

impl Libbpf {
    /// Returns the callback that was set with `libbpf_set_print()`, or None if messages are
    /// switched off. While this function runs, libbpf's callback is [`HOLD`].
    pub(super) fn print_callback(&self) -> Option<Print> {
        let set_print = self.handle()?.own_libbpf_set_print()?;
        alone(|| {
            // SAFETY: the first callback is our own, and the others come from libbpf.
            unsafe {
                let found = replaced(set_print(HOLD));
                REMEMBERED.print.store(as_pointer(found), Ordering::Relaxed);
                let (mut taken, mut put) = (HOLD, found);
                loop {
                    // A caller of libbpf's own setter may have set another callback in the
                    // meantime.
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

/// Implements `libbpf_set_print()`, but waits while the callback is replaced.
///
/// # Safety
/// `callback` must be valid for libbpf's function. `caller` is the address from which the exported
/// function was called.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_set_print(
    callback: Option<Print>,
    caller: *const c_void,
) -> Option<Print> {
    let set_print = Handle::of_caller(caller)?.own_libbpf_set_print()?;
    // SAFETY: guaranteed by the caller.
    alone(|| replaced(unsafe { set_print(callback) }))
}

/// Waits until the callback is restored, and returns it.
#[unsafe(no_mangle)]
extern "C" fn ksyscall_found_print() -> Option<Print> {
    alone(found)
}

/// Returns the callback that the program set. In a process that was forked while the callback was
/// replaced, libbpf still uses our temporary callback.
fn replaced(callback: Option<Print>) -> Option<Print> {
    if as_pointer(callback) == as_pointer(HOLD) { found() } else { callback }
}

fn found() -> Option<Print> {
    // SAFETY: the pointer is NULL, which becomes None, or was stored from a callback.
    unsafe { core::mem::transmute(REMEMBERED.print.load(Ordering::Relaxed)) }
}

fn as_pointer(callback: Option<Print>) -> *mut c_void {
    callback.map_or(core::ptr::null_mut(), |callback| callback as *mut c_void)
}
