//! Reads the environment variables, which set options for tools that cannot be changed.

use core::ffi::{CStr, c_char};

use super::Failure;
use crate::attach::Options;
use crate::calls::Callers;
use crate::text::number;

unsafe extern "C" {
    /// environ(7), by the name to which the other leads.
    static __environ: *const *const c_char;
    /// getenv(3), which finds nothing in a process with more privileges than its caller.
    fn secure_getenv(name: *const c_char) -> *const c_char;
}

/// Adds to the options of one attach what the variables say; returns whose calls are meant.
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

/// Whether one of the variables may be set. Few processes have any, and a look at the start of
/// each variable takes fewer instructions than getenv(3) for each name.
fn is_any_set() -> bool {
    // SAFETY: the C library's variable is read, which is NULL or an array of C strings that ends
    // in NULL; of a string nothing is read behind the first byte that differs, such as its NUL.
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

/// Whether a variable is set, to whatever.
pub(super) fn is_set(name: &CStr) -> bool {
    variable(name).is_some()
}

fn variable(name: &CStr) -> Option<&'static [u8]> {
    // SAFETY: the name is a C string.
    let text = unsafe { secure_getenv(name.as_ptr()) };
    // SAFETY: it is one of the environment's strings, which nobody changes meanwhile.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes())
}
