//! Why an attach failed, said where libbpf would say it: to the callback of
//! `libbpf_set_print()`.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::sync::atomic::{AtomicU32, Ordering};

use super::libbpf::{Libbpf, Print};
use super::{Failure, MAX_SHOWN, bpf_program};
use crate::sys;
use crate::text::Text;

/// `LIBBPF_WARN` of `enum libbpf_print_level`.
const WARN: c_int = 0;

/// Prints a warning.
///
/// # Safety
/// `prog` is NULL or a program of `libbpf`, `syscall_name` NULL or a C string.
#[inline(never)]
pub(super) unsafe fn print(
    libbpf: &Libbpf,
    prog: *const bpf_program,
    syscall_name: *const c_char,
    failure: &Failure,
) {
    let Some(print) = callback(libbpf) else {
        return;
    };
    let program = libbpf.bpf_program__name().filter(|_| !prog.is_null());
    // SAFETY: the caller's promise.
    let program = program.map_or(core::ptr::null(), |name| unsafe { name(prog) });
    let mut text = Text::<1024>::new();
    // SAFETY: libbpf's program names are C strings, and the caller's promise.
    let (program, name) = unsafe { (Shown::new(program), Shown::new(syscall_name)) };
    text.add("libksyscall: prog '");
    program.add_to(&mut text);
    text.add("': syscall '");
    name.add_to(&mut text);
    text.add("': ");
    failure.say(&mut |part| part.bytes().for_each(|byte| add_escaped(byte, &mut text)));
    text.end_with(b'\n');
    // The text has no conversions, so the va_list is not read. Where the ABI
    // passes it by reference this is one, elsewhere it is a pointer anyway.
    let mut arguments = [0_u64; 8];
    // SAFETY: `print` is libbpf's callback, which takes a format without conversions.
    unsafe { print(WARN, text.as_c_str().as_ptr(), (&raw mut arguments).cast::<c_void>()) };
}

/// The callback. libbpf has no function that tells it, only one that changes it.
fn callback(libbpf: &Libbpf) -> Option<Print> {
    /// The process of the thread that has put no callback in place of the
    /// program's, or 0. Another's, copied by fork(2), does not give it back.
    static TAKEN: AtomicU32 = AtomicU32::new(0);

    let set_print = libbpf.libbpf_set_print()?;
    let own = sys::process_id() as u32;
    while TAKEN.swap(own, Ordering::Acquire) == own {
        // SAFETY: it has no arguments.
        unsafe { libc::sched_yield() };
    }
    // SAFETY: both take what libbpf has had before.
    let callback = unsafe {
        let callback = set_print(None);
        set_print(callback);
        callback
    };
    TAKEN.store(0, Ordering::Release);
    callback
}

impl Failure {
    fn say(&self, out: &mut dyn FnMut(&str)) {
        out(match self {
            Failure::OptsTooSmall => "bpf_ksyscall_opts: sz is less than its own size",
            Failure::OptsUnknown => "bpf_ksyscall_opts: unknown options are set",
            Failure::NoProgram => "the program is NULL",
            Failure::NotLoaded => "the program has no fd (was it loaded?)",
            Failure::NoName => "the name is NULL",
            Failure::NoLibbpf => "no libbpf is loaded",
            Failure::NoMemory => "no memory",
            Failure::NoLink => "this libbpf cannot make a link for it",
            Failure::Libbpf(_) => "libbpf could not make a link",
            Failure::Attach(error) => return error.say(out),
        });
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
    pub(super) fn add_to<const N: usize>(&self, text: &mut Text<N>) {
        for byte in self.0.iter().take(MAX_SHOWN) {
            add_escaped(if matches!(byte, b' '..=b'~') { *byte } else { b'?' }, text);
        }
        text.add(if self.0.len() > MAX_SHOWN { "..." } else { "" });
    }
}

/// Adds a byte; a `%` twice, for the text is a format.
fn add_escaped<const N: usize>(byte: u8, text: &mut Text<N>) {
    if byte == b'%' {
        text.push(byte);
    }
    text.push(byte);
}
