//! Finds the kernel functions that serve a call, for C programs that attach by other means.

use core::ffi::{c_char, c_int, c_uint};

use errno::Errno;

use super::{Failure, links_opts, name};
use crate::Error;
use crate::attach::plan::Plan;
use crate::calls::Symbol;
use crate::kernel::symbols::Symbols;
use crate::sys::Kept;

/// Returns the kernel's syscall functions. The list is read once and never freed, because callers
/// hold pointers to the names in it. A failure is not remembered.
fn symbols() -> Result<&'static Symbols, Error> {
    static SYMBOLS: Kept<Symbols> = Kept::nothing();
    if let Some(known) = SYMBOLS.get() {
        return Ok(known);
    }
    let read = Symbols::read().map_err(|Errno(errno)| Error::KernelSymbols { errno })?;
    SYMBOLS.keep(read).map_err(|_| Error::NoMemory)
}

/// Points `function` at the name of a function that serves a call. Returns 0 or a negative errno.
///
/// # Safety
/// `syscall_name` must be NULL or a C string, and `function` must be writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_find_function(
    syscall_name: *const c_char,
    callers: c_uint,
    nth: usize,
    function: *mut *const c_char,
) -> c_int {
    // SAFETY: guaranteed by the caller.
    match unsafe { find(syscall_name, callers, nth) } {
        Ok(Some(symbol)) => {
            // SAFETY: guaranteed by the caller.
            unsafe { function.write(symbol.as_c_str().as_ptr()) };
            0
        }
        Ok(None) => -libc::ENOENT,
        Err(failure) => -failure.errno(),
    }
}

/// # Safety
/// `syscall_name` must be NULL or a C string.
unsafe fn find(
    syscall_name: *const c_char,
    callers: c_uint,
    nth: usize,
) -> Result<Option<&'static Symbol>, Failure> {
    // SAFETY: guaranteed by the caller.
    let name = unsafe { name(syscall_name) }?;
    let callers = links_opts::callers(callers)?;
    let symbols = symbols()?;
    let mut plan = Plan::of_call(name, callers, symbols)?;
    plan.take_result(0)?;
    let symbol = plan.functions(0).nth(nth);
    Ok(symbol.and_then(|symbol| symbols.find(symbol.as_bytes())))
}
