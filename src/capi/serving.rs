//! Finds the kernel functions that serve a call, for C programs that attach by other means.

use core::ffi::{c_char, c_int, c_uint};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use errno::Errno;

use super::{Failure, links_opts, name};
use crate::Error;
use crate::attach::plan::{BatchCall, Plan};
use crate::calls::Symbol;
use crate::kernel::symbols::Symbols;

/// The kernel's functions, or NULL before they were read. They are never freed: callers have
/// pointers into them.
static SYMBOLS: AtomicPtr<Symbols> = AtomicPtr::new(ptr::null_mut());

/// The kernel's functions, which are read once. A failure is not remembered.
fn symbols() -> Result<&'static Symbols, Error> {
    let known = SYMBOLS.load(Ordering::Acquire);
    if !known.is_null() {
        // SAFETY: it was stored below, and is never changed or freed.
        return Ok(unsafe { &*known });
    }
    let read = Symbols::read().map_err(|Errno(errno)| Error::KernelSymbols { errno })?;
    const { assert!(align_of::<Symbols>() <= align_of::<libc::max_align_t>()) };
    // SAFETY: malloc may be called with any size.
    let memory = unsafe { libc::malloc(size_of::<Symbols>()) }.cast::<Symbols>();
    if memory.is_null() {
        return Err(Error::NoMemory);
    }
    // SAFETY: malloc gave room for it, aligned for anything.
    unsafe { memory.write(read) };
    let stored =
        SYMBOLS.compare_exchange(ptr::null_mut(), memory, Ordering::AcqRel, Ordering::Acquire);
    // SAFETY: what is stored was written before, and is never changed or freed. Without that,
    // nobody else has this thread's list.
    unsafe {
        Ok(match stored {
            Ok(_) => &*memory,
            Err(other) => {
                drop(memory.read());
                libc::free(memory.cast());
                &*other
            }
        })
    }
}

/// Puts a function that serves a call into `function`, and returns 0 or a negative errno.
///
/// # Safety
/// `syscall_name` is NULL or a C string, and `function` is writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_find_function(
    syscall_name: *const c_char,
    callers: c_uint,
    nth: usize,
    function: *mut *const c_char,
) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { find(syscall_name, callers, nth) } {
        Ok(Some(symbol)) => {
            // SAFETY: the caller's promise.
            unsafe { function.write(symbol.as_c_str().as_ptr()) };
            0
        }
        Ok(None) => -libc::ENOENT,
        Err(failure) => -failure.errno(),
    }
}

/// # Safety
/// `syscall_name` is NULL or a C string.
unsafe fn find(
    syscall_name: *const c_char,
    callers: c_uint,
    nth: usize,
) -> Result<Option<&'static Symbol>, Failure> {
    // SAFETY: the caller's promise.
    let name = unsafe { name(syscall_name) }?;
    let callers = links_opts::callers(callers)?;
    let symbols = symbols()?;
    let mut plan = Plan::of(&[BatchCall::new(name, callers)])?;
    plan.look_up(symbols);
    plan.take_result(0)?;
    let symbol = plan.functions(0).nth(nth);
    Ok(symbol.and_then(|symbol| symbols.find(symbol.as_bytes())))
}
