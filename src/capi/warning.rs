//! What is to be said, and to whom: why an attach failed, or that no call reaches the
//! function.

use core::ffi::{CStr, c_char};
use core::sync::atomic::Ordering;

use super::libbpf::{Libbpf, Print};
use super::remembered::REMEMBERED;
use super::{Answer, Failure, MAX_SHOWN, bpf_program};
use crate::Symbol;
use crate::kernel::stubs::hash;
use crate::refusal::Place;
use crate::refusal::message::{fill, say};
use crate::text::Buffer;

/// Writes the failure to the answer, unless libbpf has no print callback.
///
/// # Safety
/// `prog` is NULL or a program of `libbpf`, `syscall_name` NULL or a C string.
pub(super) unsafe fn write(
    answer: &mut Answer,
    hold: Option<Print>,
    libbpf: Option<&Libbpf>,
    prog: *const bpf_program,
    syscall_name: *const c_char,
    (failure, place): (&Failure, &Place),
) {
    let mut program_name = core::ptr::null();
    if let Some(libbpf) = libbpf {
        answer.print = libbpf.print_callback(hold);
        if answer.print.is_none() {
            return;
        }
        if let Some(name) = libbpf.bpf_program__name().filter(|_| !prog.is_null()) {
            // SAFETY: the caller's promise.
            program_name = unsafe { name(prog) };
        }
    } else if !matches!(failure, Failure::NoLibbpf) {
        return;
    }
    // SAFETY: libbpf's program names are C strings, and the caller's promise.
    let (program, name) = unsafe { (Shown::new(program_name), Shown::new(syscall_name)) };
    let text = &mut answer.text;
    text.add(b"libksyscall: prog '");
    program.add_to(text);
    text.add(b"': syscall '");
    name.add_to(text);
    text.add(b"': ");
    failure.say(place, &mut |part| text.add(part));
    text.end_with(b'\n');
}

/// Whether this is asked for a symbol for the first time in this process.
pub(super) fn is_first_of(symbol: &Symbol) -> bool {
    let sought = hash(symbol.as_bytes());
    for said in &REMEMBERED.unreached {
        match said.compare_exchange(0, sought, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(hash) if hash == sought => return false,
            Err(_) => {}
        }
    }
    false
}

impl Failure {
    fn say(&self, place: &Place, out: &mut dyn FnMut(&[u8])) {
        let text: &[u8] = match self {
            Failure::OptsTooSmall => b"bpf_ksyscall_opts: sz is less than its own size",
            Failure::OptsUnknown => b"bpf_ksyscall_opts: unknown options are set",
            Failure::NoProgram => b"the program is NULL",
            Failure::NotLoaded => b"the program has no fd (was it loaded?)",
            Failure::NoName => b"the name is NULL",
            Failure::NoLibbpf => {
                b"no libbpf is loaded that could have made the program; if it is linked \
                 statically, link libksyscall-static (see pkg-config)"
            }
            Failure::NoMemory => b"no memory",
            Failure::Environment(text) => text,
            Failure::NoCallers => b"ksyscall_links_opts: callers is not of enum ksyscall_callers",
            Failure::NoList => b"the array of names or of links is NULL",
            Failure::Stopped => b"stopped by the progress function",
            Failure::NoLink => b"this libbpf cannot make a link for it",
            Failure::Libbpf(_) => b"libbpf could not make a link",
            Failure::Attach(refusal) => return say(*refusal, place, out),
            Failure::Disarmed(state) => state.text().as_bytes(),
            Failure::Unreached => {
                b"no system call reaches $ on this architecture: the program is attached, and will not run"
            }
        };
        fill(text, place, self.errno(), b"", out);
    }
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

impl Shown<'_> {
    pub(super) fn add_to(&self, text: &mut Buffer) {
        for byte in self.0.iter().take(MAX_SHOWN) {
            text.push(if matches!(byte, b' '..=b'~') { *byte } else { b'?' });
        }
        text.add(if self.0.len() > MAX_SHOWN { b"..." } else { b"" });
    }
}
