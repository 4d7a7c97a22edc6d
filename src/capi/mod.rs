//! Implements the C API: `bpf_program__attach_ksyscall` with libbpf's ABI, three of libbpf's
//! functions that have to know of it, and functions that libbpf does not have.
//!
//! The exported functions are in `entry.c` and `links.c`, because the program's print callback is
//! called from there: a C++ exception, or the end of a thread, must not unwind through a frame of
//! Rust, which would stop the process. This file checks and converts the arguments of
//! `bpf_program__attach_ksyscall`. The others:
//!
//! - `header.rs` is what ksyscall.h is made of; `opts.rs` and `links_opts.rs` read the options,
//!   `environment.rs` the environment variables;
//! - `libbpf.rs` finds the libbpf that made the program, `loader.rs` asks the dynamic loader, and
//!   `print.rs` finds libbpf's print callback;
//! - `link.rs` makes the `struct bpf_link`, whose layout `layout.rs` checks, and `auto.rs`
//!   recognises programs that attach by their section;
//! - `links.rs` attaches to many calls, `destroy.rs` destroys any links, and `serving.rs` finds the
//!   functions of a call;
//! - `syscall.rs` moves probes that tools open by themselves, without the functions above;
//! - `warning.rs` words the warnings, and `remembered.rs` is what stays from one call to the next;
//! - `no_std.rs` has the allocator.
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

/// Why a function fails: what only a caller in C can do wrong, or the core's error.
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
    /// The warning has the name already, which the core's error would repeat.
    #[error("{}", InvalidName::RULE)]
    InvalidName,
    #[error(
        "no libbpf is loaded that could have made the program; if it is linked statically, link \
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
    /// The links of this libbpf have another layout than ours, and it cannot make one for this
    /// attachment.
    #[error("unsupported bpf_link layout")]
    NoLink,
    /// libbpf's own constructor failed, and has reported why.
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

/// What the exported functions in C get back; `struct answer` there.
#[repr(C)]
struct Answer {
    link: *mut bpf_link,
    /// What stands in for libbpf's print callback while that is out: see print.rs.
    hold: Option<Print>,
    /// Where `text` goes: a callback of `libbpf_set_print`, or None for stderr.
    print: Option<Print>,
    /// What to print, if it is not empty.
    text: Text<1024>,
    /// For NULL, and never 0.
    errno: c_int,
}

impl Answer {
    /// Makes it one with an empty text, which C leaves uninitialised for speed.
    ///
    /// # Safety
    /// C has prepared the answer, and nobody else uses it.
    unsafe fn with_text<'a>(answer: *mut Answer) -> &'a mut Answer {
        // SAFETY: the caller's promise; all but the text is initialised.
        unsafe {
            (&raw mut (*answer).text).write(Text::new());
            &mut *answer
        }
    }
}

/// Attaches, or writes why not, and returns true.
///
/// If `may_warn` and there is something to print before the attach, this only writes that and
/// returns false. Warnings do not keep the program from being attached, but they come first,
/// because the callback may not return (a C++ exception, a cancelled thread), and nothing may be
/// attached then.
///
/// # Safety
/// C has prepared `answer`: all but its `hold`, which is what [`Libbpf::print_callback`] is
/// given, is zero, and its text is not initialised. The other arguments are
/// `bpf_program__attach_ksyscall`'s.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_attach(
    prog: *const bpf_program,
    syscall_name: *const c_char,
    opts: *const bpf_ksyscall_opts,
    may_warn: bool,
    answer: *mut Answer,
) -> bool {
    // SAFETY: the caller's promise.
    let attached = unsafe { Request::check(prog, syscall_name, opts) }.and_then(|request| {
        let row = attach::native_row(&request.name);
        // SAFETY: the same.
        if may_warn && unsafe { warning::write_due(answer, &request, row, syscall_name) } {
            return Ok(None);
        }
        // SAFETY: the same.
        unsafe { link::make(&request, row) }.map(Some)
    });
    match attached {
        // SAFETY: the same.
        Ok(Some(link)) => unsafe { (*answer).link = link },
        Ok(None) => return false,
        Err(failure) => {
            // SAFETY: the same.
            let answer = unsafe { Answer::with_text(answer) };
            answer.errno = failure.errno();
            // SAFETY: the same.
            unsafe { warning::write_failure(answer, prog, syscall_name, &failure) };
        }
    }
    true
}

/// Arguments of `bpf_program__attach_ksyscall` that are valid.
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
    /// The arguments are `bpf_program__attach_ksyscall`'s.
    unsafe fn check(
        prog: *const bpf_program,
        syscall_name: *const c_char,
        opts: *const bpf_ksyscall_opts,
    ) -> Result<Self, Failure> {
        // SAFETY: the caller's promise.
        let mut options = unsafe { opts::read(opts) }?;
        let callers = environment::read(&mut options)?;
        // SAFETY: the caller's promise.
        let name = unsafe { name(syscall_name) }?;
        if prog.is_null() {
            return Err(Failure::NoProgram);
        }
        // SAFETY: the caller's promise.
        let libbpf = unsafe { Libbpf::of(prog) }.ok_or(Failure::NoLibbpf)?;
        // SAFETY: the caller's promise.
        let program_fd = unsafe { libbpf.program_fd(prog) }?;
        Ok(Self { libbpf, prog, program_fd, name, options, callers })
    }
}

/// # Safety
/// `name` is NULL or a C string.
unsafe fn name(name: *const c_char) -> Result<SyscallName, Failure> {
    if name.is_null() {
        return Err(Failure::NoName);
    }
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) };
    SyscallName::from_bytes(name.to_bytes()).map_err(|_| Failure::InvalidName)
}
