//! Reads the environment variables that set options for tools whose code cannot be changed.

use core::ffi::{CStr, c_char};

use super::Failure;
use crate::attach::Options;
use crate::calls::Callers;
use crate::text::number;

unsafe extern "C" {
    /// environ(7). `environ` is an alias for this name.
    static __environ: *const *const c_char;
    /// Like getenv(3), but returns NULL in a process with more privileges than its caller
    /// (set-user-ID).
    fn secure_getenv(name: *const c_char) -> *const c_char;
}

/// Sets the options that the variables select, and returns the selected callers.
pub(super) fn read(options: &mut Options) -> Result<Callers, Failure> {
    if !is_any_set() {
        return Ok(Callers::Native);
    }
    options.keep_event = variable(c"KSYSCALL_KEEP_EVENT").is_some();
    let calls = variable(c"KSYSCALL_MAX_ACTIVE").filter(|_| options.retprobe);
    if let Some(text) = calls {
        let calls = number(text, 10).and_then(|calls| calls.try_into().ok());
        options.max_active = calls.filter(|calls| *calls > 0).ok_or(Failure::MaxActiveVariable)?;
        options.check().map_err(|_| Failure::MaxActiveVariable)?;
    }
    match variable(c"KSYSCALL_CALLERS") {
        None | Some(b"native") => Ok(Callers::Native),
        Some(b"compat") => Ok(Callers::Compat),
        Some(b"all") => Ok(Callers::All),
        Some(_) => Err(Failure::CallersVariable),
    }
}

/// Returns whether any of the variables may be set. In most processes, none of them is set, and
/// comparing the start of each variable takes fewer instructions than calling getenv(3) for each
/// name.
fn is_any_set() -> bool {
    // SAFETY: the C library's variable is NULL or an array of C strings that ends in NULL. A string
    // is read only up to the first byte that differs, which may be its NUL.
    unsafe {
        let mut place = __environ;
        while !place.is_null() && !(*place).is_null() {
            if (*b"KSYSCALL_").iter().enumerate().all(|(at, byte)| *(*place).add(at) as u8 == *byte)
            {
                return true;
            }
            place = place.add(1);
        }
    }
    false
}

/// Returns a variable's value, if the variable is set.
pub(super) fn variable(name: &CStr) -> Option<&'static [u8]> {
    // SAFETY: the name is a C string.
    let text = unsafe { secure_getenv(name.as_ptr()) };
    // SAFETY: the string is part of the environment, which does not change while it is read.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes())
}
