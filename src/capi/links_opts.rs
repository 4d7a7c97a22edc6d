//! Reads `struct ksyscall_links_opts` according to libbpf's rule for options: see `opts.rs`.

use core::ffi::{c_int, c_uint, c_void};
use core::mem::offset_of;
use core::ptr;

use super::Failure;
use super::header::__u64;
use super::opts::Given;
use crate::attach;
use crate::attach::attachments::THREADS;
use crate::calls::Callers;

/// On a 64-bit kernel, selects the callers whose calls trigger the program.
#[allow(non_camel_case_types, clippy::upper_case_acronyms)]
#[repr(C)]
pub enum ksyscall_callers {
    /// Processes of this program's architecture.
    KSYSCALL_CALLERS_NATIVE,
    /// 32-bit processes and, on x86-64, calls made with `int $0x80`. Names refer to the calls of
    /// the 32-bit architecture. If one function serves both kinds of callers, the program runs for
    /// both. The program also runs for x32 calls that have separate kernel functions.
    KSYSCALL_CALLERS_COMPAT,
    /// Both kinds of callers. If some callers can make a call only through socketcall(2) or ipc(2)
    /// (on i386, for example, accept and semop), the program is also attached to that multiplexer,
    /// and runs for every call made through the multiplexer: see KSYSCALL_SUBCALL_PROG in
    /// ksyscall.bpf.h.
    KSYSCALL_CALLERS_ALL,
}

/// A C library for ksyscall__c_library_call().
#[allow(non_camel_case_types, clippy::upper_case_acronyms)]
#[repr(C)]
pub enum ksyscall_c_library {
    /// The GNU C library.
    KSYSCALL_GLIBC,
    /// musl.
    KSYSCALL_MUSL,
}

/// Options for attaching to many system calls. Zero-initialise the struct and set `sz` to its size,
/// or use libbpf's `LIBBPF_OPTS`.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct ksyscall_links_opts {
    /// Size of this struct, for forward and backward compatibility.
    pub sz: usize,
    /// The values that `bpf_get_attach_cookie()` returns in the program, one for each name; or
    /// NULL.
    pub cookies: *const __u64,
    /// The function to call after each name, or NULL; `done` is the number of names processed so
    /// far. If the function returns a value other than 0, the attach stops and everything is
    /// detached. The function must return normally, and must not close the program. Thread
    /// cancellation is disabled while the function runs.
    pub progress: Option<unsafe extern "C" fn(ctx: *mut c_void, done: usize, n: usize) -> c_int>,
    /// The first argument of `progress`.
    pub ctx: *mut c_void,
    /// Number of threads that detach concurrently, in ksyscall_links__destroy() and if the attach
    /// fails: 1 to 64, or 0 for the default of 8.
    pub threads: c_uint,
    /// Number of calls in progress that each return probe tracks: 1 to 4096, or 0 for the kernel's
    /// own limit. The kernel's limit is 10 or twice the number of CPUs, whichever is greater.
    /// Before Linux 6.2, on kernels without preemption, the limit is the number of CPUs. Requires
    /// `retprobe` and tracefs. Not supported for kprobe.multi.
    pub max_active: c_uint,
    /// The callers whose calls trigger the program: a value of `enum ksyscall_callers`.
    pub callers: c_uint,
    /// Run the program at the calls' returns instead of their entries.
    pub retprobe: bool,
    /// If attaching to one name fails, still attach to the other names.
    pub best_effort: bool,
}

/// The options that were read.
pub(super) struct Options {
    pub(super) attach: attach::Options,
    pub(super) cookies: *const u64,
    pub(super) progress: Option<unsafe extern "C" fn(*mut c_void, usize, usize) -> c_int>,
    pub(super) ctx: *mut c_void,
    pub(super) threads: usize,
    pub(super) best_effort: bool,
    pub(super) callers: Callers,
}

const END: usize = offset_of!(ksyscall_links_opts, best_effort) + size_of::<bool>();

/// Reads the options. A field that `sz` does not cover keeps its default.
///
/// # Safety
/// `opts` must be NULL, or point to a readable field `sz` and to `sz` readable bytes.
pub(super) unsafe fn read(opts: *const ksyscall_links_opts) -> Result<Options, Failure> {
    // SAFETY: guaranteed by the caller; each field is read as its type, or a bool as a byte.
    unsafe {
        let given = Given::check(opts.cast::<u8>(), END)?;
        let number = |offset: usize| given.field::<c_uint>(offset).unwrap_or(0);
        Ok(Options {
            attach: attach::Options {
                retprobe: given.flag(offset_of!(ksyscall_links_opts, retprobe)),
                max_active: number(offset_of!(ksyscall_links_opts, max_active)),
                ..attach::Options::default()
            },
            callers: callers(number(offset_of!(ksyscall_links_opts, callers)))?,
            best_effort: given.flag(offset_of!(ksyscall_links_opts, best_effort)),
            cookies: given.field(offset_of!(ksyscall_links_opts, cookies)).unwrap_or(ptr::null()),
            progress: given.field(offset_of!(ksyscall_links_opts, progress)).flatten(),
            ctx: given.field(offset_of!(ksyscall_links_opts, ctx)).unwrap_or(ptr::null_mut()),
            threads: match number(offset_of!(ksyscall_links_opts, threads)) {
                0 => THREADS,
                threads => threads as usize,
            },
        })
    }
}

pub(super) fn callers(number: c_uint) -> Result<Callers, Failure> {
    use ksyscall_callers::{
        KSYSCALL_CALLERS_ALL, KSYSCALL_CALLERS_COMPAT, KSYSCALL_CALLERS_NATIVE,
    };
    const NATIVE: c_uint = KSYSCALL_CALLERS_NATIVE as c_uint;
    const COMPAT: c_uint = KSYSCALL_CALLERS_COMPAT as c_uint;
    const ALL: c_uint = KSYSCALL_CALLERS_ALL as c_uint;
    match number {
        NATIVE => Ok(Callers::Native),
        COMPAT => Ok(Callers::Compat),
        ALL => Ok(Callers::All),
        _ => Err(Failure::NoCallers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the fields begin. Each field ends where the next one begins.
    const STARTS: [usize; 9] = [
        offset_of!(ksyscall_links_opts, cookies),
        offset_of!(ksyscall_links_opts, progress),
        offset_of!(ksyscall_links_opts, ctx),
        offset_of!(ksyscall_links_opts, threads),
        offset_of!(ksyscall_links_opts, max_active),
        offset_of!(ksyscall_links_opts, callers),
        offset_of!(ksyscall_links_opts, retprobe),
        offset_of!(ksyscall_links_opts, best_effort),
        END,
    ];

    /// Reads options from a buffer of exactly `sz` bytes. The first byte of each field before `end`
    /// is set to 1, which is a valid value for every field except `progress`.
    fn read_image(sz: usize, end: usize) -> Result<Options, Failure> {
        let mut image = vec![0_u8; sz].into_boxed_slice();
        let set = STARTS.into_iter().filter(|start| *start != STARTS[1]);
        // On little-endian machines, the first byte is the lowest byte of a number.
        set.filter(|start| *start < end.min(sz)).for_each(|start| image[start] = 1);
        image[..size_of::<usize>()].copy_from_slice(&sz.to_ne_bytes());
        // SAFETY: `image` is readable for `sz` bytes.
        unsafe { read(image.as_ptr().cast()) }
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn a_field_counts_only_if_the_size_covers_all_of_it() {
        for sz in size_of::<usize>()..END + 16 {
            let options = read_image(sz, END).unwrap();
            let has = |field: usize| sz >= STARTS[field + 1];
            assert_eq!(!options.cookies.is_null(), has(0), "{sz}");
            assert!(options.progress.is_none(), "{sz}");
            assert_eq!(!options.ctx.is_null(), has(2), "{sz}");
            assert_eq!(options.threads, if has(3) { 1 } else { THREADS }, "{sz}");
            assert_eq!(options.attach.max_active, u32::from(has(4)), "{sz}");
            let callers = if has(5) { Callers::Compat } else { Callers::Native };
            assert_eq!(options.callers, callers, "{sz}");
            assert_eq!(options.attach.retprobe, has(6), "{sz}");
            assert_eq!(options.best_effort, has(7), "{sz}");
        }
    }

    #[test]
    fn unknown_options_and_callers_are_refused() {
        assert!(matches!(read_image(END + 1, END + 1), Err(Failure::OptsUnknown)));
        assert!(matches!(callers(3), Err(Failure::NoCallers)));
        // SAFETY: NULL is allowed.
        let defaults = unsafe { read(ptr::null()) }.unwrap();
        assert!(defaults.threads == THREADS && defaults.callers == Callers::Native);
        assert!(!defaults.attach.allow_unreached && !defaults.best_effort);
    }
}
