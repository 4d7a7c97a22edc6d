//! The C functions that libbpf does not have: they attach one program to many calls, destroy
//! many links, count what was missed and list the calls. The exported functions are in
//! `links.c`.

use alloc::vec::Vec;
use core::ffi::{c_char, c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicI64, Ordering};

use super::libbpf::Libbpf;
use super::links_opts::{Options, ksyscall_links_opts, read};
use super::remembered::REMEMBERED;
use super::{Answer, Failure, bpf_link, bpf_program, link, name, warning};
use crate::attach::many::{Call, Many};
use crate::attachments::THREADS;
use crate::kernel::disarmed::disarmed;
use crate::refusal::{Place, Refusal};
use crate::resolve::callers::Side;
use crate::resolve::{Callers, SyscallName, table};
use crate::sys;

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
    // SAFETY: the caller's promise.
    let libbpf = unsafe { Libbpf::of(prog) };
    let mut wanted = Wanted {
        prog,
        names,
        n,
        links,
        place: Place::of(SyscallName::EMPTY, false),
        shown: ptr::null(),
    };
    // SAFETY: the caller's promise.
    let attached = unsafe { wanted.attach(libbpf.as_ref(), opts) };
    // SAFETY: the caller's promise.
    let answer = unsafe { &mut *answer };
    let hold = answer.print.take();
    match attached {
        Ok(count) => count as c_int,
        Err(failure) => {
            answer.again = matches!(failure, Failure::Disarmed(_));
            answer.errno = failure.errno().0;
            // That the caller has stopped it the caller knows.
            if matches!(failure, Failure::Stopped) {
                return -1;
            }
            let (shown, failure) = (wanted.shown, (&failure, &wanted.place));
            // SAFETY: the caller's promise.
            unsafe { warning::write(answer, hold, libbpf.as_ref(), prog, shown, failure) };
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
    place: Place,
    shown: *const c_char,
}

impl Wanted {
    unsafe fn attach(
        &mut self,
        libbpf: Option<&Libbpf>,
        opts: *const ksyscall_links_opts,
    ) -> Result<usize, Failure> {
        if self.n > 0 && (self.names.is_null() || self.links.is_null()) {
            return Err(Failure::NoList);
        }
        // SAFETY: there are at least so many.
        unsafe { self.clear_links(0, self.n) };
        // SAFETY: the caller's promise.
        let options = unsafe { read(opts) }?;
        if options.callers != Callers::Native {
            // SAFETY: there are so many then.
            unsafe { self.clear_links(self.n, Side::ALL.len() * self.n) };
        }
        // SAFETY: the caller's promise.
        let calls = unsafe { self.calls(&options) }?;
        if self.prog.is_null() {
            return Err(Failure::NoProgram);
        }
        let libbpf = libbpf.ok_or(Failure::NoLibbpf)?;
        // SAFETY: the caller's promise.
        let program_fd = unsafe { libbpf.program_fd(self.prog) }?;
        if !link::has_our_layout(libbpf) {
            return Err(Failure::NoLink);
        }
        if REMEMBERED.is_first_attach() {
            if let Some(state) = disarmed() {
                return Err(Failure::Disarmed(state));
            }
        }
        let attach = options.attach;
        let many = Many::start(program_fd, attach, calls, options.best_effort, &mut self.place);
        let mut many = many.map_err(|refusal| self.failed(refusal))?;
        many.set_threads(options.threads);
        let mut attached = 0;
        while let Some((index, result)) = many.next(&mut self.place) {
            match result {
                Ok(()) => attached += 1,
                Err(_) if options.best_effort => {}
                Err(refusal) => return Err(self.failed(refusal)),
            }
            if !options.results.is_null() {
                let errno = result.map_or_else(|refusal| refusal.errno().0, |()| 0);
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
        calls.try_reserve_exact(self.n).map_err(|_| Failure::NoMemory)?;
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

    /// A refusal, and of which name, for the warning.
    fn failed(&mut self, refusal: Refusal) -> Failure {
        for index in 0..self.n {
            // SAFETY: there are `n` names, which were read before.
            let text = unsafe { *self.names.add(index) };
            // SAFETY: the same.
            if unsafe { name(text) }.is_ok_and(|name| name == self.place.name) {
                self.shown = text;
                break;
            }
        }
        Failure::Attach(refusal)
    }
}

/// Destroys links concurrently, and returns 0 or the first negative errno in their order.
///
/// # Safety
/// `links` has `n` places, each with NULL or a link that nobody else uses.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_destroy_links(links: *mut *mut bpf_link, n: usize) -> c_int {
    if links.is_null() {
        return if n == 0 { 0 } else { -libc::EINVAL };
    }
    /// The number of the first that failed, before its errno.
    const ERRNO_BITS: u32 = 12;
    let first = AtomicI64::new(i64::MAX);
    let places = links as usize;
    sys::thread::in_parallel(n, THREADS, &|index| {
        let place = (places as *mut *mut bpf_link).wrapping_add(index);
        // SAFETY: each place is one thread's, and the caller's promise.
        let error = unsafe { destroy(place.replace(ptr::null_mut())) };
        if error < 0 {
            let errno = i64::from(error.saturating_neg()) & ((1 << ERRNO_BITS) - 1);
            first.fetch_min((index as i64) << ERRNO_BITS | errno, Ordering::Relaxed);
        }
    });
    match first.into_inner() {
        i64::MAX => 0,
        failed => -((failed & ((1 << ERRNO_BITS) - 1)) as c_int),
    }
}

/// `bpf_link__destroy()` of the libbpf that the link is of, or, for this library's own, of
/// the usual one.
///
/// # Safety
/// `link` is NULL or a link that nobody else uses.
unsafe fn destroy(link: *mut bpf_link) -> c_int {
    if link.is_null() {
        return 0;
    }
    // SAFETY: a link begins with the address of its detach function.
    let detach = unsafe { link.cast::<*const c_void>().read() };
    let Some(libbpf) = Libbpf::of_caller(detach) else { return -libc::ELIBACC };
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

/// Writes the names of this architecture's calls to an array of C strings, which is zeroes.
///
/// # Safety
/// There is so much room.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_list_names(names: *mut [u8; 65], room: usize) {
    let mut index = 0;
    table::for_each_call(&mut |name: SyscallName| {
        if index < room {
            let bytes = name.as_bytes();
            // SAFETY: the caller's promise; a name has at most 64 bytes.
            unsafe {
                let place = names.add(index).cast::<u8>();
                ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
            }
            index += 1;
        }
    });
}

const _: () = assert!(crate::resolve::MAX_NAME_LEN == 64);
