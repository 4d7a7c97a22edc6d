//! Implements the C API: `bpf_program__attach_ksyscall` with libbpf's ABI, replacements for three
//! libbpf functions, and functions that libbpf does not have.
//!
//! The exported functions are written in C, in `entry.c` and `links.c`, because they call the
//! program's print callback. A C++ exception or a cancelled thread must not unwind through a Rust
//! frame, because that would abort the process. This file checks and converts the arguments of
//! `bpf_program__attach_ksyscall`. The other files:
//!
//! - `header.rs` is the source of ksyscall.h; `opts.rs` and `links_opts.rs` read the options,
//!   `environment.rs` reads the environment variables;
//! - `libbpf.rs` finds the libbpf that created the program, `loader.rs` asks the dynamic loader,
//!   and `print.rs` finds libbpf's print callback;
//! - `link.rs` creates the `struct bpf_link`, `layout.rs` checks its layout, and `auto.rs`
//!   recognises programs that attach by their section;
//! - `links.rs` attaches to many calls, `destroy.rs` destroys links, and `serving.rs` finds a
//!   call's functions;
//! - `syscall.rs` redirects probes that tools open themselves, without the functions above;
//! - `warning.rs` contains the warnings, and `remembered.rs` contains the state that is kept
//!   between calls;
//! - `no_std.rs` contains the allocator.
#![allow(unsafe_code)]

mod auto;
mod destroy;
mod environment;
mod header;
mod layout;
mod libbpf;
mod link;
mod links;
mod links_opts;
mod loader;
#[cfg(not(any(feature = "std", test)))]
mod no_std;
mod opts;
#[cfg(any(test, fuzzing))]
pub(crate) mod oracle;
mod print;
mod remembered;
mod serving;
mod syscall;
mod warning;

use core::ffi::{CStr, c_char, c_int};

use crate::Error;
use crate::attach::{self, Options};
use crate::calls::{Callers, InvalidName, SyscallName};
use crate::text::Text;
pub use header::{
    bpf_link, bpf_program, bpf_program__attach_ksyscall, ksyscall__c_library_call,
    ksyscall__function, ksyscall__name, ksyscall_link__destroy_all, ksyscall_link__missed,
    ksyscall_links, ksyscall_links__attach, ksyscall_links__count, ksyscall_links__destroy,
    ksyscall_links__function, ksyscall_links__missed, ksyscall_links__result,
    ksyscall_program__recursion_misses,
};
use libbpf::{Libbpf, Print};
pub use links_opts::{ksyscall_c_library, ksyscall_callers, ksyscall_links_opts};
pub use opts::bpf_ksyscall_opts;

/// Why a function failed: an error that only a C caller can cause, or an error from the core.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("bpf_ksyscall_opts: sz is too small")]
    OptsTooSmall,
    #[error("bpf_ksyscall_opts: unknown options are set")]
    OptsUnknown,
    #[error("the program is NULL")]
    NoProgram,
    #[error("the program has no fd (was it loaded?)")]
    NotLoaded,
    #[error("the name is NULL")]
    NoName,
    /// The core's error would repeat the name, which the message already contains.
    #[error("{}", InvalidName::RULE)]
    InvalidName,
    #[error(
        "cannot find the libbpf that created the program; if it is linked statically, link \
         libksyscall-static (see pkg-config)"
    )]
    NoLibbpf,
    #[error("KSYSCALL_MAX_ACTIVE is not a number from 1 to 4096")]
    MaxActiveVariable,
    #[error("KSYSCALL_CALLERS is not native, compat or all")]
    CallersVariable,
    #[error("the array of names is NULL")]
    NoNames,
    #[error("callers is not a value of enum ksyscall_callers")]
    NoCallers,
    #[error("stopped by the progress function")]
    Stopped,
    /// libbpf lays out its links differently from this library, and libbpf cannot create a link for
    /// this attachment.
    #[error("unsupported bpf_link layout")]
    NoLink,
    /// libbpf's own constructor failed, and libbpf has reported why.
    #[error("libbpf could not make a link")]
    Libbpf(c_int),
    #[error(transparent)]
    Attach(#[from] Error),
}

impl Failure {
    fn errno(&self) -> c_int {
        match self {
            Failure::OptsTooSmall
            | Failure::OptsUnknown
            | Failure::NoProgram
            | Failure::NotLoaded
            | Failure::NoName
            | Failure::InvalidName
            | Failure::MaxActiveVariable
            | Failure::CallersVariable
            | Failure::NoNames
            | Failure::NoCallers => libc::EINVAL,
            Failure::NoLibbpf => libc::ELIBACC,
            Failure::Stopped => libc::ECANCELED,
            Failure::NoLink => libc::EOPNOTSUPP,
            Failure::Libbpf(errno) => *errno,
            Failure::Attach(error) => error.errno(),
        }
    }
}

/// The result that is passed to the exported C functions. In C, this type is `struct answer`.
#[repr(C)]
struct Answer {
    link: *mut bpf_link,
    /// The callback that prints `text`, or None to print it to stderr.
    print: Option<Print>,
    /// The text to print. If the text is empty, nothing is printed.
    text: Text<1024>,
    /// A nonzero errno if `link` is NULL.
    errno: c_int,
}

impl Answer {
    /// Initialises the text as empty. The C code leaves the text uninitialised for speed.
    ///
    /// # Safety
    /// The C code must have prepared the answer, and nobody else may use it.
    unsafe fn with_text<'a>(answer: *mut Answer) -> &'a mut Answer {
        // SAFETY: guaranteed by the caller; everything except the text is initialised.
        unsafe {
            (&raw mut (*answer).text).write(Text::new());
            &mut *answer
        }
    }
}

/// Attaches the program, or writes why the attach failed. Returns true.
///
/// If `may_warn` is true and a warning is due, this function only writes the warning and returns
/// false. Warnings do not prevent the attach, but they are printed before it. The print callback
/// might never return, because it can throw a C++ exception or its thread can be cancelled. In that
/// case, nothing must stay attached.
///
/// # Safety
/// The C code must have prepared `answer`: the fields are zero, and the text's bytes are not
/// initialised. The other arguments must be valid for `bpf_program__attach_ksyscall`.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_attach(
    prog: *const bpf_program,
    syscall_name: *const c_char,
    opts: *const bpf_ksyscall_opts,
    may_warn: bool,
    answer: *mut Answer,
) -> bool {
    // SAFETY: guaranteed by the caller.
    let attached = unsafe { Request::check(prog, syscall_name, opts) }.and_then(|request| {
        let row = attach::native_row(&request.name);
        // SAFETY: guaranteed by the caller.
        if may_warn && unsafe { warning::write_due(answer, &request, row, syscall_name) } {
            return Ok(None);
        }
        // SAFETY: guaranteed by the caller.
        unsafe { link::make(&request, row) }.map(Some)
    });
    match attached {
        // SAFETY: guaranteed by the caller.
        Ok(Some(link)) => unsafe { (*answer).link = link },
        Ok(None) => return false,
        Err(failure) => {
            // SAFETY: guaranteed by the caller.
            let answer = unsafe { Answer::with_text(answer) };
            answer.errno = failure.errno();
            // SAFETY: guaranteed by the caller.
            unsafe { warning::write_failure(answer, prog, syscall_name, &failure) };
        }
    }
    true
}

/// The arguments of `bpf_program__attach_ksyscall`, after they have been checked.
struct Request {
    libbpf: Libbpf,
    prog: *const bpf_program,
    program_fd: c_int,
    name: SyscallName,
    options: Options,
    callers: Callers,
}

impl Request {
    /// # Safety
    /// The arguments must be valid for `bpf_program__attach_ksyscall`.
    unsafe fn check(
        prog: *const bpf_program,
        syscall_name: *const c_char,
        opts: *const bpf_ksyscall_opts,
    ) -> Result<Self, Failure> {
        // SAFETY: guaranteed by the caller.
        let mut options = unsafe { opts::read(opts) }?;
        let callers = environment::read(&mut options)?;
        // SAFETY: guaranteed by the caller.
        let name = unsafe { name(syscall_name) }?;
        if prog.is_null() {
            return Err(Failure::NoProgram);
        }
        // SAFETY: guaranteed by the caller.
        let libbpf = unsafe { Libbpf::of(prog) }.ok_or(Failure::NoLibbpf)?;
        // SAFETY: guaranteed by the caller.
        let program_fd = unsafe { libbpf.program_fd(prog) }?;
        Ok(Self { libbpf, prog, program_fd, name, options, callers })
    }
}

/// # Safety
/// `name` must be NULL or a C string.
unsafe fn name(name: *const c_char) -> Result<SyscallName, Failure> {
    if name.is_null() {
        return Err(Failure::NoName);
    }
    // SAFETY: guaranteed by the caller.
    let name = unsafe { CStr::from_ptr(name) };
    SyscallName::from_bytes(name.to_bytes()).map_err(|_| Failure::InvalidName)
}
