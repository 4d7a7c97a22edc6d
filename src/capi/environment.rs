//! The environment variables of libksyscall-ext.so, for tools that it is preloaded into:
//! what such a tool cannot say by options.

use core::ffi::CStr;

use super::{Failure, secure_getenv};
use crate::attach::Options;
use crate::text::number;

/// Adds what the environment says to the options of one attach.
pub(super) fn apply(options: &mut Options) -> Result<(), Failure> {
    // SAFETY: the name is a C string.
    let max_active = unsafe { secure_getenv(c"KSYSCALL_MAX_ACTIVE".as_ptr()) };
    if options.retprobe && !max_active.is_null() {
        // SAFETY: it is one of the environment's strings, and nobody changes it meanwhile.
        let text = unsafe { CStr::from_ptr(max_active) };
        let calls = number(text.to_bytes(), 10).and_then(|calls| calls.try_into().ok());
        options.max_active = calls.filter(|calls| *calls > 0).ok_or(Failure::Environment)?;
        options.check().map_err(|_| Failure::Environment)?;
    }
    Ok(())
}
