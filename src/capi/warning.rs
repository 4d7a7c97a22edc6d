//! Words the warnings, and writes messages for the print callback: why an attach failed, and what a
//! caller should know of one that goes on.

use core::ffi::{CStr, c_char};
use core::fmt::{self, Write as _};

use super::libbpf::Libbpf;
use super::remembered::REMEMBERED;
use super::{Answer, Failure, Request, bpf_program};
use crate::attach::{self, Options, Target};
use crate::calls::c_library::Hint;
use crate::calls::{Callers, InvalidName, Symbol, SyscallName, table};
use crate::kernel::disarmed::{Disarmed, disarmed};

/// What to print before an attach that goes on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Warning {
    #[error("{0}")]
    Disarmed(Disarmed),
    #[error(
        "no system call reaches {symbol} on this architecture: attached, but the program will \
         never run{}", Hint(name.as_str())
    )]
    Unreached { symbol: Symbol, name: SyscallName },
}

/// Whether there may be a warning to print of a call.
pub(super) fn may_be_due(name: &SyscallName) -> bool {
    !REMEMBERED.has_attached() || !table::row(name).is_served()
}

/// Writes the warnings of an attach, each of which is printed once in a process.
///
/// # Safety
/// As of [`write()`].
pub(super) unsafe fn write_due(
    answer: &mut Answer,
    request: &Request,
    syscall_name: *const c_char,
) {
    for warning in [disarmed_once(), unreached_once(request)].into_iter().flatten() {
        // SAFETY: the caller's promise.
        unsafe { write(answer, Some(&request.libbpf), request.prog, syscall_name, &warning) };
    }
}

/// The state in which the kernel runs no probe, if it is in one when this is asked first.
pub(super) fn disarmed_once() -> Option<Warning> {
    if REMEMBERED.is_first_attach() { disarmed().map(Warning::Disarmed) } else { None }
}

/// The function that no call reaches, if the kernel has it and this is asked first of the call.
fn unreached_once(request: &Request) -> Option<Warning> {
    let Request { name, options, callers: Callers::Native, .. } = request else { return None };
    if table::row(name).is_served() || REMEMBERED.is_warned_of(name) {
        return None;
    }
    // The entry is probed, for which any kernel that has the function allows a probe.
    let options = Options { retprobe: false, max_active: 0, ..*options };
    let Target { symbol, is_reached, .. } = attach::probe_call(name, options).ok()?;
    let unreached = Warning::Unreached { symbol, name: *name };
    (!is_reached && REMEMBERED.is_first_warning_of(name)).then_some(unreached)
}

/// Writes why an attach failed.
///
/// # Safety
/// As of [`write()`].
pub(super) unsafe fn write_failure(
    answer: &mut Answer,
    prog: *const bpf_program,
    syscall_name: *const c_char,
    failure: &Failure,
) {
    // SAFETY: the caller's promise.
    let libbpf = unsafe { Libbpf::of(prog) };
    if libbpf.is_some() || matches!(failure, Failure::NoLibbpf) {
        // SAFETY: the caller's promise.
        unsafe { write(answer, libbpf.as_ref(), prog, syscall_name, failure) };
    }
}

/// Writes a message to the answer, unless libbpf has no print callback.
///
/// # Safety
/// `prog` is NULL or a program of `libbpf`, `syscall_name` NULL or a C string.
pub(super) unsafe fn write(
    answer: &mut Answer,
    libbpf: Option<&Libbpf>,
    prog: *const bpf_program,
    syscall_name: *const c_char,
    message: &dyn fmt::Display,
) {
    let mut program_name = core::ptr::null();
    if let Some(libbpf) = libbpf {
        answer.print = libbpf.print_callback(answer.hold);
        if answer.print.is_none() {
            return;
        }
        // SAFETY: the caller's promise.
        program_name = unsafe { libbpf.program_name(prog) };
    }
    // SAFETY: libbpf's program names are C strings, and the caller's promise.
    let (program, name) = unsafe { (Shown::new(program_name), Shown::new(syscall_name)) };
    let text = &mut answer.text;
    // What does not fit is cut off.
    let _ = write!(text, "libksyscall: prog '{program}': syscall '{name}': {message}");
    text.end_with(b'\n');
}

/// A name from outside: its start, in printable ASCII.
pub(super) struct Shown<'a>(pub(super) &'a [u8]);

impl Shown<'_> {
    /// # Safety
    /// `text` is NULL or a C string that outlives the result.
    unsafe fn new(text: *const c_char) -> Self {
        if text.is_null() {
            return Self(b"(null)");
        }
        // SAFETY: the caller's promise.
        Self(unsafe { CStr::from_ptr(text) }.to_bytes())
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.iter().take(InvalidName::SHOWN) {
            f.write_char(if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' })?;
        }
        f.write_str(if self.0.len() > InvalidName::SHOWN { "..." } else { "" })
    }
}
