//! The C functions that libbpf does not have: they attach one program to many calls, destroy
//! many links, count what was missed and list the calls. The exported functions are in
//! `links.c`.

use alloc::vec::Vec;
use core::ffi::{c_char, c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicI64, Ordering};

use super::libbpf::{Handle, Libbpf};
use super::links_opts::{Options, ksyscall_links_opts, read};
use super::{Answer, Failure, bpf_link, bpf_program, link, name, warning};
use crate::Error;
use crate::attach::attachments::THREADS;
use crate::attach::many::Many;
use crate::attach::plan::Call;
use crate::calls::abi::Abi;
use crate::calls::{Callers, table};
use crate::kernel::recursion::recursion_misses_of;
use crate::kernel::tracefs;
use crate::sys::{self, Fd, ProbeLink};

/// Writes what has to be printed before an attach: see [`super::ksyscall_warn`].
///
/// # Safety
/// As of [`ksyscall_attach_links`].
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_warn_links(prog: *const bpf_program, answer: *mut Answer) {
    // SAFETY: the caller's promise.
    let Some(libbpf) = (unsafe { Libbpf::of(prog) }) else { return };
    if let Some(warning) = warning::disarmed_once() {
        let name = c"(all)".as_ptr();
        // SAFETY: the caller's promise.
        unsafe { warning::write(&mut *answer, Some(&libbpf), prog, name, &warning) };
    }
}

/// Attaches to all calls, and returns to how many; or says why not, and returns -1.
///
/// # Safety
/// As [`super::ksyscall_attach`] for `answer`; the other arguments are
/// `ksyscall_links__attach`'s.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_attach_links(
    prog: *const bpf_program,
    names: *const *const c_char,
    n: usize,
    links: *mut *mut bpf_link,
    opts: *const ksyscall_links_opts,
    answer: *mut Answer,
) -> c_int {
    let mut wanted = Wanted { prog, names, n, links, shown: ptr::null() };
    // SAFETY: the caller's promise.
    let attached = unsafe { wanted.attach(opts) };
    // SAFETY: the caller's promise.
    let answer = unsafe { &mut *answer };
    match attached {
        Ok(count) => count as c_int,
        Err(failure) => {
            answer.errno = failure.errno();
            // A caller that has stopped it knows.
            if !matches!(failure, Failure::Stopped) {
                // SAFETY: the caller's promise.
                unsafe { warning::write_failure(answer, prog, wanted.shown, &failure) };
            }
            -1
        }
    }
}

/// The arguments, and at which name it failed.
struct Wanted {
    prog: *const bpf_program,
    names: *const *const c_char,
    n: usize,
    links: *mut *mut bpf_link,
    shown: *const c_char,
}

impl Wanted {
    unsafe fn attach(&mut self, opts: *const ksyscall_links_opts) -> Result<usize, Failure> {
        if self.n > 0 && (self.names.is_null() || self.links.is_null()) {
            return Err(Failure::NoList);
        }
        // SAFETY: there are at least so many.
        unsafe { self.clear_links(0, self.n) };
        // SAFETY: the caller's promise.
        let options = unsafe { read(opts) }?;
        if options.callers != Callers::Native {
            // SAFETY: there are so many then.
            unsafe { self.clear_links(self.n, Abi::ALL.len() * self.n) };
        }
        // SAFETY: the caller's promise.
        let calls = unsafe { self.calls(&options) }?;
        if self.prog.is_null() {
            return Err(Failure::NoProgram);
        }
        // SAFETY: the caller's promise.
        let libbpf = unsafe { Libbpf::of(self.prog) }.ok_or(Failure::NoLibbpf)?;
        // SAFETY: the caller's promise.
        let program_fd = unsafe { libbpf.program_fd(self.prog) }?;
        if !link::has_our_layout(&libbpf) {
            return Err(Failure::NoLink);
        }
        let mut many = Many::start(program_fd, options.attach, &calls, options.best_effort)?;
        many.set_threads(options.threads);
        let mut attached = 0;
        while let Some((index, result)) = many.next(program_fd) {
            let errno = match result {
                Ok(_) => {
                    attached += 1;
                    0
                }
                Err(error) if options.best_effort => error.errno(),
                Err(error) => {
                    // SAFETY: there are `n` names.
                    self.shown = unsafe { *self.names.add(index) };
                    return Err(error.into());
                }
            };
            if !options.results.is_null() {
                // SAFETY: there are `n` places.
                unsafe { options.results.add(index).write(errno) };
            }
            if let Some(progress) = options.progress {
                // SAFETY: the caller's function.
                if unsafe { progress(options.ctx, index + 1, self.n) } != 0 {
                    return Err(Failure::Stopped);
                }
            }
        }
        // SAFETY: there is a place for each side of each call.
        unsafe { link::make_all(many.into_attachments(), self.links) }?;
        Ok(attached)
    }

    /// # Safety
    /// There are so many places.
    unsafe fn clear_links(&mut self, from: usize, to: usize) {
        for index in from..to {
            // SAFETY: the caller's promise.
            unsafe { self.links.add(index).write(ptr::null_mut()) };
        }
    }

    /// The names with their cookies.
    unsafe fn calls(&mut self, options: &Options) -> Result<Vec<Call>, Failure> {
        let mut calls = Vec::new();
        calls.try_reserve_exact(self.n).map_err(|_| Error::NoMemory)?;
        for index in 0..self.n {
            // SAFETY: there are `n` names, and `n` cookies if any.
            let (text, cookie) = unsafe {
                let cookies = options.cookies;
                let cookie = if cookies.is_null() { 0 } else { *cookies.add(index) };
                (*self.names.add(index), cookie)
            };
            self.shown = text;
            // SAFETY: the caller's promise.
            let name = unsafe { name(text) }?;
            calls.push(Call { name, cookie, callers: options.callers });
        }
        self.shown = c"(all)".as_ptr();
        Ok(calls)
    }
}

/// The first failure in the order of the links.
struct FirstFailure(AtomicI64);

impl FirstFailure {
    const ERRNO_BITS: u32 = 12;

    fn none() -> Self {
        Self(AtomicI64::new(i64::MAX))
    }

    /// Records the result for one link: 0 or a negative errno.
    fn record(&self, index: usize, result: c_int) {
        if result < 0 {
            let errno = i64::from(result.saturating_neg()) & ((1 << Self::ERRNO_BITS) - 1);
            self.0.fetch_min((index as i64) << Self::ERRNO_BITS | errno, Ordering::Relaxed);
        }
    }

    /// 0, or the negative errno.
    fn result(self) -> c_int {
        match self.0.into_inner() {
            i64::MAX => 0,
            failed => -((failed & ((1 << Self::ERRNO_BITS) - 1)) as c_int),
        }
    }
}

/// The slow part of destroying a link. It runs no code of libbpf.
enum Ending {
    /// A link of this library, which is still attached.
    Ours(*mut bpf_link),
    /// A copy of the descriptor of a link that libbpf has destroyed.
    Held(Fd),
}

// SAFETY: the caller has given the link away, and one thread takes it.
unsafe impl Send for Ending {}

/// Destroys links, and returns 0 or the first negative errno in their order.
///
/// libbpf's code runs in this thread alone, for one link after the other: its USDT links share
/// state of their object without a lock, and its print callback is the program's. The wait in
/// the kernel is what takes long, and only that is done by several threads.
///
/// # Safety
/// `links` has `n` places, each with NULL or a link that nobody else uses.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_destroy_links(links: *mut *mut bpf_link, n: usize) -> c_int {
    if links.is_null() {
        return if n == 0 { 0 } else { -libc::EINVAL };
    }
    let first = FirstFailure::none();
    let mut endings = Vec::new();
    // Without memory the loop at the end destroys all of them, one after the other.
    if endings.try_reserve_exact(n).is_ok() {
        let mut holder = Holder { may_have_entries: None };
        for index in 0..n {
            // SAFETY: there are `n` places, with links of which each is ended once.
            unsafe {
                let place = links.add(index);
                if place.read().is_null() {
                } else if link::is_ours(*place) {
                    endings.push((index, Ending::Ours(*place)));
                } else {
                    let link = place.replace(ptr::null_mut());
                    endings.extend(holder.hold(link).map(|fd| (index, Ending::Held(fd))));
                    first.record(index, destroy(link));
                }
            }
        }
        sys::consume_in_parallel(endings, THREADS, &|_, (index, ending)| match ending {
            // SAFETY: it is ours, and this thread's.
            Ending::Ours(link) => first.record(index, unsafe { link::end(link) }),
            Ending::Held(fd) => drop(fd),
        });
    }
    for index in 0..n {
        // SAFETY: there are `n` places, and what is left in them is our links.
        first.record(index, unsafe { destroy(links.add(index).replace(ptr::null_mut())) });
    }
    first.result()
}

/// Keeps links of libbpf open, so that libbpf destroys them without waiting.
struct Holder {
    /// [`tracefs::may_have_entries`], once it was called.
    may_have_entries: Option<bool>,
}

impl Holder {
    /// Copies the descriptor of a link, if it is of a kind that kprobes have: the kernel ends
    /// such links independently of each other, when their last descriptor is closed.
    ///
    /// A probe that libbpf made through tracefs must have ended when libbpf removes its entry.
    /// The kernel does not tell such a link from others, so none is copied while there are
    /// entries.
    ///
    /// # Safety
    /// `link` is a link.
    unsafe fn hold(&mut self, link: *const bpf_link) -> Option<Fd> {
        // SAFETY: the caller's promise.
        let fd = unsafe { libbpf_of(link)?.functions().bpf_link__fd()?(link) };
        // A link that consists of others, like that of a USDT, has 0 there. If that is a
        // descriptor of some link, a copy does not change when that link ends: its owner
        // still has the descriptor.
        if sys::bpf_probe_link(fd)? == ProbeLink::PerfEvent
            && *self.may_have_entries.get_or_insert_with(tracefs::may_have_entries)
        {
            return None;
        }
        Fd::copy_of(fd).ok()
    }
}

/// The libbpf that made the link, or for this library's own the usual one.
///
/// # Safety
/// `link` is a link.
unsafe fn libbpf_of(link: *const bpf_link) -> Option<Handle> {
    // SAFETY: a link begins with the address of its detach function.
    Libbpf::of_caller(unsafe { link.cast::<*const c_void>().read() })
}

/// `bpf_link__destroy()` of the link's libbpf.
///
/// # Safety
/// `link` is NULL or a link that nobody else uses.
unsafe fn destroy(link: *mut bpf_link) -> c_int {
    if link.is_null() {
        return 0;
    }
    // SAFETY: the caller's promise.
    let Some(libbpf) = (unsafe { libbpf_of(link) }) else { return -libc::ELIBACC };
    // SAFETY: libbpf.h declares the function of this name so.
    let destroy: Option<unsafe extern "C" fn(*mut bpf_link) -> c_int> =
        unsafe { core::mem::transmute(libbpf.address(c"bpf_link__destroy")) };
    // SAFETY: the caller's promise.
    destroy.map_or(-libc::ELIBACC, |destroy| unsafe { destroy(link) })
}

/// `ksyscall_link__missed()` but for errno.
///
/// # Safety
/// `link` is NULL or a link, and `missed` NULL or writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_link_missed(link: *const bpf_link, missed: *mut u64) -> c_int {
    if link.is_null() || missed.is_null() {
        return -libc::EINVAL;
    }
    // SAFETY: the caller's promise.
    let Some(count) = (unsafe { link::missed(link) }) else { return -libc::EOPNOTSUPP };
    // SAFETY: the caller's promise.
    unsafe { missed.write(count) };
    0
}

/// `ksyscall_program__recursion_misses()` but for errno.
///
/// # Safety
/// `prog` is NULL or a program of a loaded libbpf, and `misses` NULL or writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_program_recursion_misses(
    prog: *const bpf_program,
    misses: *mut u64,
) -> c_int {
    if prog.is_null() || misses.is_null() {
        return -libc::EINVAL;
    }
    // SAFETY: the caller's promise.
    let Some(libbpf) = (unsafe { Libbpf::of(prog) }) else { return -libc::ELIBACC };
    // SAFETY: the caller's promise.
    let program_fd = match unsafe { libbpf.program_fd(prog) } {
        Ok(program_fd) => program_fd,
        Err(failure) => return -failure.errno(),
    };
    let Some(count) = recursion_misses_of(program_fd) else { return -libc::EOPNOTSUPP };
    // SAFETY: the caller's promise.
    unsafe { misses.write(count) };
    0
}

/// Writes the names of this architecture's calls to an array of C strings, which is zeroes.
///
/// # Safety
/// There is so much room.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_list_names(names: *mut [u8; 65], room: usize) {
    for (index, name) in table::calls().take(room).enumerate() {
        let bytes = name.as_bytes();
        // SAFETY: the caller's promise, and `index` is less than `room`; a name has at most
        // 64 bytes.
        unsafe {
            let place = names.add(index).cast::<u8>();
            ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
        }
    }
}

const _: () = assert!(crate::calls::MAX_NAME_LEN == 64);
