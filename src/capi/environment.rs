//! Reads the environment variables, which set options for tools that cannot be changed.

use core::ffi::CStr;

use super::{Failure, secure_getenv};
use crate::attach::Options;
use crate::calls::Callers;
use crate::text::number;

/// Adds `KSYSCALL_MAX_ACTIVE` to the options of one attach.
pub(super) fn max_active(options: &mut Options) -> Result<(), Failure> {
    const WRONG: Failure = Failure::Environment("KSYSCALL_MAX_ACTIVE is not a number of 1 to 4096");
    if !options.retprobe {
        return Ok(());
    }
    if let Some(text) = variable(c"KSYSCALL_MAX_ACTIVE") {
        let calls = number(text, 10).and_then(|calls| calls.try_into().ok());
        options.max_active = calls.filter(|calls| *calls > 0).ok_or(WRONG)?;
        options.check().map_err(|_| WRONG)?;
    }
    Ok(())
}

/// What `KSYSCALL_CALLERS` says.
pub(super) fn callers() -> Result<Callers, Failure> {
    match variable(c"KSYSCALL_CALLERS") {
        None | Some(b"native") => Ok(Callers::Native),
        Some(b"compat") => Ok(Callers::Compat),
        Some(b"all") => Ok(Callers::All),
        Some(_) => Err(Failure::Environment("KSYSCALL_CALLERS is not native, compat or all")),
    }
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
