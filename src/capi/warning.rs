//! Writes messages for the print callback: warnings before an attach, and the reasons for failures.

use core::ffi::{CStr, c_char};
use core::fmt::{self, Write as _};

use super::libbpf::Libbpf;
use super::remembered::REMEMBERED;
use super::{Answer, Failure, Request, bpf_program};
use crate::attach::{self, Options, Target};
use crate::calls::c_library::Hint;
use crate::calls::table::Row;
use crate::calls::{Callers, InvalidName, Symbol, SyscallName};
use crate::kernel::disarmed::{Disarmed, disarmed};

/// A message about a problem that does not prevent the attach.
#[derive(Debug, thiserror::Error)]
pub(super) enum Warning {
    #[error("{0}")]
    Disarmed(Disarmed),
    #[error(
        "no system call reaches {symbol} on this architecture: attached, but the program will \
         never run{}", Hint(name.as_str())
    )]
    Unreached { symbol: Symbol, name: SyscallName },
    /// A probe that the tool opened itself was moved.
    #[error("no system call reaches this function: probing {function}, which serves {call}")]
    Moved { function: Symbol, call: SyscallName },
}

/// Writes the warnings for an attach, and returns whether there is anything to print. Each warning
/// is printed once per process.
///
/// # Safety
/// The same as for [`write()`]. The C code must have prepared the answer.
pub(super) unsafe fn write_due(
    answer: *mut Answer,
    request: &Request,
    row: Row<'_>,
    syscall_name: *const c_char,
) -> bool {
    let due = [disarmed_once(), unreached_once(request, row)];
    if due.iter().all(Option::is_none) {
        return false;
    }
    // SAFETY: guaranteed by the caller.
    let answer = unsafe { Answer::with_text(answer) };
    for warning in due.into_iter().flatten() {
        // SAFETY: guaranteed by the caller.
        unsafe { write(answer, Some(&request.libbpf), request.prog, syscall_name, &warning) };
    }
    !answer.text.as_bytes().is_empty()
}

/// Returns a warning if the kernel currently runs no probes. Only the first call to this function
/// checks the kernel.
pub(super) fn disarmed_once() -> Option<Warning> {
    if REMEMBERED.is_first_attach() { disarmed().map(Warning::Disarmed) } else { None }
}

/// Returns a warning if the kernel has the call's function but no system call reaches it. Returns
/// None if the warning was printed before.
fn unreached_once(request: &Request, row: Row<'_>) -> Option<Warning> {
    let Request { name, options, callers: Callers::Native, .. } = request else { return None };
    if row.is_served() || REMEMBERED.is_warned_of(name.as_bytes()) {
        return None;
    }
    // Probe the function's entry: every kernel that has the function allows an entry probe.
    let options = Options { retprobe: false, max_active: 0, ..*options };
    let Target { symbol, is_reached, .. } = attach::probe_call(name, row, options).ok()?;
    let unreached = Warning::Unreached { symbol, name: *name };
    (!is_reached && REMEMBERED.is_first_warning_of(name.as_bytes())).then_some(unreached)
}

/// Writes why an attach failed.
///
/// # Safety
/// The same as for [`write()`].
pub(super) unsafe fn write_failure(
    answer: &mut Answer,
    prog: *const bpf_program,
    syscall_name: *const c_char,
    failure: &Failure,
) {
    // SAFETY: guaranteed by the caller.
    let libbpf = unsafe { Libbpf::of(prog) };
    if libbpf.is_some() || matches!(failure, Failure::NoLibbpf) {
        // SAFETY: guaranteed by the caller.
        unsafe { write(answer, libbpf.as_ref(), prog, syscall_name, failure) };
    }
}

/// Writes a message to the answer, unless libbpf's messages are switched off.
///
/// # Safety
/// `prog` must be NULL or a program of `libbpf`, and `syscall_name` must be NULL or a C string.
pub(super) unsafe fn write(
    answer: &mut Answer,
    libbpf: Option<&Libbpf>,
    prog: *const bpf_program,
    syscall_name: *const c_char,
    message: &dyn fmt::Display,
) {
    let mut program_name = core::ptr::null();
    if let Some(libbpf) = libbpf {
        answer.print = libbpf.print_callback();
        if answer.print.is_none() {
            return;
        }
        // SAFETY: guaranteed by the caller.
        program_name = unsafe { libbpf.program_name(prog) };
    }
    // SAFETY: libbpf's program names are C strings; the caller guarantees the rest.
    let (program, name) = unsafe { (Shown::new(program_name), Shown::new(syscall_name)) };
    let text = &mut answer.text;
    // Text that does not fit is cut off.
    let _ = write!(text, "libksyscall: prog '{program}': syscall '{name}': {message}");
    text.end_with(b'\n');
}

/// Shows the beginning of a name that comes from outside the library, in printable ASCII.
pub(super) struct Shown<'a>(pub(super) &'a [u8]);

impl Shown<'_> {
    /// # Safety
    /// `text` must be NULL or a C string that outlives the result.
    unsafe fn new(text: *const c_char) -> Self {
        if text.is_null() {
            return Self(b"(null)");
        }
        // SAFETY: guaranteed by the caller.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    /// If a message changes, run `INSTA_UPDATE=always cargo test --lib --features capi warning`.
    #[test]
    fn messages() {
        let symbol = Symbol::new(b"__x64_sys_uselib", b"", b"");
        let name = SyscallName::new("uselib").unwrap();
        let warnings = [
            Warning::Disarmed(Disarmed::Ftrace),
            Warning::Disarmed(Disarmed::Kprobes),
            Warning::Unreached { symbol, name },
            Warning::Moved { function: symbol, call: name },
        ];
        let failures = [
            Failure::OptsTooSmall,
            Failure::OptsUnknown,
            Failure::NoProgram,
            Failure::NotLoaded,
            Failure::NoName,
            Failure::InvalidName,
            Failure::NoLibbpf,
            Failure::MaxActiveVariable,
            Failure::CallersVariable,
            Failure::NoNames,
            Failure::NoCallers,
            Failure::Stopped,
            Failure::NoLink,
            Failure::Libbpf(libc::EACCES),
            Failure::Attach(Error::NoMemory),
        ];
        let warnings = warnings.iter().map(|warning| format!("    {warning}\n"));
        let failures = failures.iter().map(|failure| format!("{:3} {failure}\n", failure.errno()));
        insta::assert_snapshot!(warnings.chain(failures).collect::<String>());
    }

    #[test]
    fn long_or_unprintable_names_are_shortened_and_escaped() {
        let shown = |name: &[u8]| Shown(name).to_string();
        assert_eq!(shown(b"no%s%ncall"), "no%s%ncall");
        assert_eq!(shown(b"a\nb\xff"), "a?b?");
        let long = "x".repeat(InvalidName::SHOWN);
        assert_eq!(shown(long.as_bytes()), long);
        assert_eq!(shown(&[b'x'; InvalidName::SHOWN + 1]), long + "...");
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { Shown::new(core::ptr::null()) }.to_string(), "(null)");
    }
}
