//! Implements C functions that libbpf does not define. They manage `struct ksyscall_links`, count
//! missed calls, list the names of all calls, and look up the calls that C library functions make.
//! The exported functions are in `links.c`.

use alloc::vec::Vec;
use core::ffi::{c_char, c_int, c_uint, c_void};
use core::ptr;

use super::destroy::FirstFailure;
use super::libbpf::Libbpf;
use super::links_opts::{Options, ksyscall_links_opts, read};
use super::{Answer, Failure, bpf_link, bpf_program, link, name, warning};
use crate::Error;
use crate::attach::attachment::Attachment;
use crate::attach::attachments::Attachments;
use crate::attach::many::Many;
use crate::attach::plan::BatchCall;
use crate::calls::table::{self, Column, TABLE};
use crate::calls::{CLibrary, Symbol, c_library};
use crate::kernel::recursion::recursion_misses_of;

/// `struct ksyscall_links`: a program's attachments to many calls.
struct Links {
    attachments: Attachments,
    /// One outcome for each name.
    outcomes: Vec<Outcome>,
}

/// The outcome for one name.
struct Outcome {
    /// 0 or a negative errno.
    result: c_int,
    /// The functions that the program is attached to for this name.
    functions: Vec<Symbol>,
}

impl Links {
    /// Moves the links into memory that malloc allocates. If malloc fails, everything is detached.
    fn into_raw(self) -> Result<*mut Self, Error> {
        const { assert!(align_of::<Self>() <= align_of::<libc::max_align_t>()) };
        // SAFETY: malloc may be called with any size.
        let memory = unsafe { libc::malloc(size_of::<Self>()) }.cast::<Self>();
        if memory.is_null() {
            return Err(Error::NoMemory);
        }
        // SAFETY: the allocated memory has room for the links, and is aligned for any type.
        unsafe { memory.write(self) };
        Ok(memory)
    }
}

/// Writes the warning, if there is one, that must be printed before the attach; see
/// [`super::ksyscall_attach`].
///
/// # Safety
/// The same as for [`ksyscall_attach_links`].
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_warn_links(prog: *const bpf_program, answer: *mut Answer) {
    // SAFETY: guaranteed by the caller.
    let Some(libbpf) = (unsafe { Libbpf::of(prog) }) else { return };
    if let Some(warning) = warning::disarmed_once() {
        let name = c"(all)".as_ptr();
        // SAFETY: guaranteed by the caller.
        unsafe { warning::write(Answer::with_text(answer), Some(&libbpf), prog, name, &warning) };
    }
}

/// Attaches to all calls. If the attach fails, writes the reason and returns NULL.
///
/// # Safety
/// `answer` must be valid for [`super::ksyscall_attach`]. The other arguments must be valid for
/// `ksyscall_links__attach`.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_attach_links(
    prog: *const bpf_program,
    names: *const *const c_char,
    n: usize,
    opts: *const ksyscall_links_opts,
    answer: *mut Answer,
) -> *mut Links {
    let mut wanted = Wanted { prog, names, n, shown: ptr::null() };
    // SAFETY: guaranteed by the caller.
    let attached = unsafe { wanted.attach(opts) };
    attached.and_then(|links| Ok(links.into_raw()?)).unwrap_or_else(|failure| {
        // SAFETY: guaranteed by the caller.
        let answer = unsafe { Answer::with_text(answer) };
        answer.errno = failure.errno();
        // A caller that stopped the attach needs no message.
        if !matches!(failure, Failure::Stopped) {
            // SAFETY: guaranteed by the caller.
            unsafe { warning::write_failure(answer, prog, wanted.shown, &failure) };
        }
        ptr::null_mut()
    })
}

/// The arguments of `ksyscall_links__attach`, and the name to show in an error message.
struct Wanted {
    prog: *const bpf_program,
    names: *const *const c_char,
    n: usize,
    shown: *const c_char,
}

impl Wanted {
    /// # Safety
    /// The arguments must be valid for `ksyscall_links__attach`.
    unsafe fn attach(&mut self, opts: *const ksyscall_links_opts) -> Result<Links, Failure> {
        if self.n > 0 && self.names.is_null() {
            return Err(Failure::NoNames);
        }
        // SAFETY: guaranteed by the caller.
        let options = unsafe { read(opts) }?;
        // SAFETY: guaranteed by the caller.
        let calls = unsafe { self.calls(&options) }?;
        if self.prog.is_null() {
            return Err(Failure::NoProgram);
        }
        // SAFETY: guaranteed by the caller.
        let libbpf = unsafe { Libbpf::of(self.prog) }.ok_or(Failure::NoLibbpf)?;
        // SAFETY: guaranteed by the caller.
        let program_fd = unsafe { libbpf.program_fd(self.prog) }?;
        let mut outcomes = Vec::new();
        outcomes.try_reserve_exact(self.n).map_err(|_| Error::NoMemory)?;
        let mut many = Many::start(program_fd, options.attach, &calls, options.best_effort)?;
        many.attachments.threads = options.threads;
        while let Some((index, result)) = many.next(program_fd) {
            let result = match result {
                Ok(_) => 0,
                Err(error) if options.best_effort => -error.errno(),
                Err(error) => {
                    // SAFETY: there are `n` names.
                    self.shown = unsafe { *self.names.add(index) };
                    return Err(error.into());
                }
            };
            let mut functions = Vec::new();
            for function in many.functions(index) {
                functions.try_reserve_exact(1).map_err(|_| Error::NoMemory)?;
                functions.push(function);
            }
            outcomes.push(Outcome { result, functions });
            if let Some(progress) = options.progress {
                // SAFETY: the caller's function.
                if unsafe { progress(options.ctx, self.n - many.left(), self.n) } != 0 {
                    return Err(Failure::Stopped);
                }
            }
        }
        Ok(Links { attachments: many.attachments, outcomes })
    }

    /// Returns the named calls, each with its cookie.
    ///
    /// # Safety
    /// There must be `n` names, and `n` cookies unless `cookies` is NULL.
    unsafe fn calls(&mut self, options: &Options) -> Result<Vec<BatchCall>, Failure> {
        let mut calls = Vec::new();
        calls.try_reserve_exact(self.n).map_err(|_| Error::NoMemory)?;
        for index in 0..self.n {
            // SAFETY: guaranteed by the caller.
            let (text, cookie) = unsafe {
                let cookies = options.cookies;
                let cookie = if cookies.is_null() { 0 } else { *cookies.add(index) };
                (*self.names.add(index), cookie)
            };
            self.shown = text;
            // SAFETY: guaranteed by the caller.
            let name = unsafe { name(text) }?;
            calls.push(BatchCall { cookie, ..BatchCall::new(name, options.callers) });
        }
        self.shown = c"(all)".as_ptr();
        Ok(calls)
    }
}

/// Detaches the program from all calls. Returns 0, or the negative errno for the first attachment
/// in the list that could not be removed.
///
/// # Safety
/// `links` must be NULL or come from [`ksyscall_attach_links`], and must not be used afterwards.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_destroy_links(links: *mut Links) -> c_int {
    if links.is_null() {
        return 0;
    }
    // SAFETY: the links were written to this memory, and are moved out once.
    let mut owned = unsafe { links.read() };
    // SAFETY: malloc allocated the memory, and nobody uses it any more.
    unsafe { libc::free(links.cast::<c_void>()) };
    let first = FirstFailure::none();
    owned.attachments.close(&|index, error| first.record(index, -error.errno()));
    first.result()
}

/// Returns the number of names that the program is attached to.
///
/// # Safety
/// `links` must be NULL or come from [`ksyscall_attach_links`].
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_count_links(links: *const Links) -> usize {
    // SAFETY: guaranteed by the caller.
    let links = unsafe { links.as_ref() };
    links.map_or(0, |links| links.outcomes.iter().filter(|outcome| outcome.result == 0).count())
}

/// Returns the result for a name: 0 or a negative errno.
///
/// # Safety
/// The same as for [`ksyscall_count_links`].
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_links_result(links: *const Links, index: usize) -> c_int {
    // SAFETY: guaranteed by the caller.
    let outcome = unsafe { links.as_ref() }.and_then(|links| links.outcomes.get(index));
    outcome.map_or(-libc::EINVAL, |outcome| outcome.result)
}

/// Returns the name of one of the kernel functions for a call, or NULL.
///
/// # Safety
/// The same as for [`ksyscall_count_links`].
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_links_function(
    links: *const Links,
    index: usize,
    nth: usize,
) -> *const c_char {
    // SAFETY: guaranteed by the caller.
    let outcome = unsafe { links.as_ref() }.and_then(|links| links.outcomes.get(index));
    let function = outcome.and_then(|outcome| outcome.functions.get(nth));
    function.map_or(ptr::null(), |function| function.as_c_str().as_ptr())
}

/// Like `ksyscall_links__missed()`, but does not set errno.
///
/// # Safety
/// The same as for [`ksyscall_count_links`]. `missed` must be NULL or writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_links_missed(links: *const Links, missed: *mut u64) -> c_int {
    // SAFETY: guaranteed by the caller.
    let Some(links) = (unsafe { links.as_ref() }) else { return -libc::EINVAL };
    if missed.is_null() {
        return -libc::EINVAL;
    }
    let counts = links.attachments.as_slice().iter().map(Attachment::missed);
    let Some(count) = counts.sum() else { return -libc::EOPNOTSUPP };
    // SAFETY: guaranteed by the caller.
    unsafe { missed.write(count) };
    0
}

/// Like `ksyscall_link__missed()`, but does not set errno.
///
/// # Safety
/// `link` must be NULL or a link, and `missed` must be NULL or writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_link_missed(link: *const bpf_link, missed: *mut u64) -> c_int {
    if link.is_null() || missed.is_null() {
        return -libc::EINVAL;
    }
    // SAFETY: guaranteed by the caller.
    let Some(count) = (unsafe { link::missed(link) }) else { return -libc::EOPNOTSUPP };
    // SAFETY: guaranteed by the caller.
    unsafe { missed.write(count) };
    0
}

/// Like `ksyscall_program__recursion_misses()`, but does not set errno.
///
/// # Safety
/// `prog` must be NULL or a program that a loaded libbpf created, and `misses` must be NULL or
/// writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_program_recursion_misses(
    prog: *const bpf_program,
    misses: *mut u64,
) -> c_int {
    if prog.is_null() || misses.is_null() {
        return -libc::EINVAL;
    }
    // SAFETY: guaranteed by the caller.
    let Some(libbpf) = (unsafe { Libbpf::of(prog) }) else { return -libc::ELIBACC };
    // SAFETY: guaranteed by the caller.
    let program_fd = match unsafe { libbpf.program_fd(prog) } {
        Ok(program_fd) => program_fd,
        Err(failure) => return -failure.errno(),
    };
    let Some(count) = recursion_misses_of(program_fd) else { return -libc::EOPNOTSUPP };
    // SAFETY: guaranteed by the caller.
    unsafe { misses.write(count) };
    0
}

/// Writes the names of this architecture's calls to a zeroed array, as C strings.
///
/// # Safety
/// `names` must have `room` elements.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_list_names(names: *mut [u8; 65], room: usize) {
    for (index, name) in table::calls(TABLE, Column::Native).take(room).enumerate() {
        let bytes = name.as_bytes();
        // SAFETY: guaranteed by the caller; `index` is less than `room`, and a name has at most 64
        // bytes.
        unsafe {
            let place = names.add(index).cast::<u8>();
            ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
        }
    }
}

const _: () = assert!(crate::calls::MAX_NAME_LEN == 64);

/// Returns a call that the function makes, as the index of its name in the list of all names; or a
/// negative errno.
///
/// # Safety
/// `function` must be NULL or a C string.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_find_c_library_call(
    function: *const c_char,
    c_library: c_uint,
    nth: usize,
) -> c_int {
    // SAFETY: guaranteed by the caller.
    let function = match unsafe { name(function) } {
        Ok(function) => function,
        Err(failure) => return -failure.errno(),
    };
    let c_library = match c_library {
        0 => CLibrary::Glibc,
        1 => CLibrary::Musl,
        _ => return -libc::EINVAL,
    };
    let found = c_library::calls(TABLE, c_library, function.as_bytes()).nth(nth);
    let mut names = table::calls(TABLE, Column::Native);
    let index = found.and_then(|found| names.position(|name| name.as_bytes() == found));
    index.map_or(-libc::ENOENT, |index| index as c_int)
}
