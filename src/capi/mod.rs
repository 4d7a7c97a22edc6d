//! The C boundary: `bpf_program__attach_ksyscall` with libbpf's ABI, and three of
//! libbpf's functions that have to know of it.
//!
//! The functions themselves are in `entry.c`, for the program's print callback is
//! called from there: what unwinds through it, a C++ exception or the end of a
//! thread, would stop the process in a frame of Rust. Here their arguments are
//! checked and converted. `header.rs` is what ksyscall.h is made of, `opts.rs` reads
//! the options as libbpf does, `libbpf.rs` finds the libbpf that the program came from, `loader.rs` asks the dynamic loader,
//! `link.rs` makes the object that libbpf's `bpf_link__*` functions work on, `auto.rs`
//! tells which programs attach by their section, `print.rs` has libbpf's print callback,
//! `warning.rs` what it is told, and `remembered.rs` what stays from one call to the next.
//! `ext.rs` and `ext.c` are what libksyscall-ext has beside all this, `links_opts.rs` its
//! options, `environment.rs` its variables and `callers.rs` the link that one of them takes.
#![allow(unsafe_code)]

mod auto;
#[cfg(feature = "ext")]
mod callers;
#[cfg(feature = "ext")]
mod environment;
#[cfg(feature = "ext")]
mod ext;
mod header;
mod libbpf;
mod link;
#[cfg(feature = "ext")]
mod links_opts;
mod loader;
mod opts;
#[cfg(any(test, fuzzing))]
pub(crate) mod oracle;
mod print;
mod remembered;
mod warning;

use core::ffi::{CStr, c_char, c_int};

use errno::Errno;

use crate::Disarmed;
use crate::refusal::{Place, Refusal};
#[cfg(feature = "ext")]
use crate::resolve::Callers;
use crate::resolve::{MAX_NAME_LEN, SyscallName};
use crate::text::Text;
pub use header::{bpf_link, bpf_program, bpf_program__attach_ksyscall};
#[cfg(feature = "ext")]
pub use header::{
    ksyscall__name, ksyscall_link__missed, ksyscall_links__attach, ksyscall_links__destroy,
};
use libbpf::{Libbpf, Print};
#[cfg(feature = "ext")]
pub use links_opts::{ksyscall_callers, ksyscall_links_opts};
pub use opts::bpf_ksyscall_opts;

unsafe extern "C" {
    /// getenv(3), but for a process that has more privileges than who started it.
    fn secure_getenv(name: *const c_char) -> *const c_char;
}

/// Why the function returns NULL.
#[derive(Debug)]
enum Failure {
    /// `sz` is less than its own size.
    OptsTooSmall,
    /// Options that this version does not know are set.
    OptsUnknown,
    NoProgram,
    NotLoaded,
    NoName,
    /// No libbpf is loaded that could have made the program.
    NoLibbpf,
    NoMemory,
    /// A variable of the environment says what cannot be.
    #[cfg(feature = "ext")]
    Environment(&'static [u8]),
    /// Names or links are NULL.
    #[cfg(feature = "ext")]
    NoList,
    /// `callers` is none of `enum ksyscall_callers`.
    #[cfg(feature = "ext")]
    NoCallers,
    /// The progress function has said so.
    #[cfg(feature = "ext")]
    Stopped,
    /// libbpf's links are not laid out as they have been, and it cannot make one
    /// for this attachment.
    NoLink,
    /// libbpf's own constructor failed, and has said why.
    Libbpf(Errno),
    Attach(Refusal),
    /// No call reaches the function, which has not been said yet.
    Unreached,
    /// The kernel runs no probe, which has not been said yet.
    Disarmed(Disarmed),
}

impl Failure {
    fn errno(&self) -> Errno {
        Errno(match self {
            Failure::OptsTooSmall
            | Failure::OptsUnknown
            | Failure::NoProgram
            | Failure::NotLoaded
            | Failure::NoName => libc::EINVAL,
            Failure::NoLibbpf => libc::ELIBACC,
            Failure::NoMemory => libc::ENOMEM,
            #[cfg(feature = "ext")]
            Failure::NoList | Failure::NoCallers | Failure::Environment(_) => libc::EINVAL,
            #[cfg(feature = "ext")]
            Failure::Stopped => libc::ECANCELED,
            Failure::NoLink => libc::EOPNOTSUPP,
            Failure::Libbpf(errno) => errno.0,
            Failure::Attach(refusal) => refusal.errno().0,
            Failure::Unreached | Failure::Disarmed(_) => libc::ENOENT,
        })
    }
}

/// What `bpf_program__attach_ksyscall` in `entry.c` has to do, in this order;
/// `struct answer` there.
#[repr(C)]
struct Answer {
    link: *mut bpf_link,
    /// Where `text` goes: a callback of `libbpf_set_print`, or None for stderr.
    print: Option<Print>,
    /// To be said, if it is not empty.
    text: Text<1024>,
    /// Then the question is to be asked again: nothing is attached yet, so that
    /// nothing is lost if the callback does not return.
    again: bool,
    /// For NULL, and never 0.
    errno: c_int,
}

/// Attaches, or says why not.
///
/// # Safety
/// `answer` is zeroes but for its `print`, which is what [`Libbpf::print_callback`] is
/// given. The other arguments are `bpf_program__attach_ksyscall`'s.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_attach(
    prog: *const bpf_program,
    syscall_name: *const c_char,
    opts: *const bpf_ksyscall_opts,
    answer: *mut Answer,
) {
    let mut place = Place::of(SyscallName::EMPTY, false);
    // SAFETY: the caller's promise.
    let libbpf = unsafe { Libbpf::of(prog) };
    // SAFETY: the caller's promise.
    let attached = unsafe { checked_attach(libbpf.as_ref(), prog, syscall_name, opts, &mut place) };
    // SAFETY: the caller's promise.
    let answer = unsafe { &mut *answer };
    let hold = answer.print.take();
    match attached {
        Ok(link) => answer.link = link,
        Err(failure) => {
            answer.again = matches!(failure, Failure::Unreached | Failure::Disarmed(_));
            answer.errno = failure.errno().0;
            let failure = (&failure, &place);
            // SAFETY: the caller's promise.
            unsafe { warning::write(answer, hold, libbpf.as_ref(), prog, syscall_name, failure) };
        }
    }
}

unsafe fn checked_attach(
    libbpf: Option<&Libbpf>,
    prog: *const bpf_program,
    syscall_name: *const c_char,
    opts: *const bpf_ksyscall_opts,
    place: &mut Place,
) -> Result<*mut bpf_link, Failure> {
    // SAFETY: the caller's promise.
    let mut options = unsafe { opts::read(opts) }?;
    // SAFETY: the name is a C string.
    options.keep_event = unsafe { !secure_getenv(c"KSYSCALL_KEEP_EVENT".as_ptr()).is_null() };
    #[cfg(feature = "ext")]
    environment::max_active(&mut options)?;
    place.retprobe = options.retprobe;
    // SAFETY: the caller's promise.
    place.name = unsafe { name(syscall_name) }?;
    if prog.is_null() {
        return Err(Failure::NoProgram);
    }
    let libbpf = libbpf.ok_or(Failure::NoLibbpf)?;
    // SAFETY: the caller's promise.
    let program_fd = unsafe { libbpf.program_fd(prog) }?;
    #[cfg(feature = "ext")]
    match environment::callers()? {
        Callers::Native => {}
        callers => return callers::make(libbpf, program_fd, place, options, callers),
    }
    // SAFETY: the caller's promise.
    unsafe { link::make(libbpf, prog, program_fd, place, options) }
}

/// # Safety
/// `name` is NULL or a C string.
unsafe fn name(name: *const c_char) -> Result<SyscallName, Failure> {
    if name.is_null() {
        return Err(Failure::NoName);
    }
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) };
    SyscallName::checked(name.to_bytes()).ok_or(Failure::Attach(Refusal::InvalidName))
}

/// Longest part of a name that a warning repeats.
const MAX_SHOWN: usize = MAX_NAME_LEN + "__NR_".len();

/// Nothing here panics on purpose; should a defect do, the program stops at once
/// instead of running on with half an attachment.
#[cfg(all(not(feature = "std"), not(test)))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: it takes no arguments and does not return.
    unsafe { libc::abort() }
}
