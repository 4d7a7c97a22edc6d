//! The libbpf that is loaded in this process, found when it is needed.
//!
//! It is not linked: preloaded into a program without libbpf this library must
//! not bring one in, and there can be any version of it. No address is kept from
//! one call to the next, for the program may unload it.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::Ordering;

use errno::errno;

use super::remembered::REMEMBERED;
use super::{Failure, bpf_link, bpf_program};

/// A handle on the loaded libbpf.
pub(super) struct Libbpf(*mut c_void);

/// libbpf's `libbpf_print_fn_t`. The last argument is a `va_list`.
pub(super) type Print =
    unsafe extern "C" fn(level: c_int, format: *const c_char, arguments: *mut c_void) -> c_int;

/// The functions of libbpf that are used, each since 0.5 or before, or since no later
/// than the sections that it is used for (1.0).
macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        impl Libbpf {
            $(#[allow(non_snake_case, reason = "libbpf's own names")]
            pub(super) fn $name(&self) -> Option<unsafe extern "C" fn($($argument),*) $(-> $result)?> {
                const NAME: &CStr = match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                    Ok(name) => name,
                    Err(_) => panic!(),
                };
                // SAFETY: libbpf.h declares the function of this name so.
                unsafe { core::mem::transmute(self.address(NAME)) }
            })*
        }
    };
}

functions! {
    bpf_program__fd: fn(*const bpf_program) -> c_int;
    bpf_program__name: fn(*const bpf_program) -> *const c_char;
    bpf_program__attach_perf_event_opts: fn(*const bpf_program, c_int, *const PerfEventOpts) -> *mut bpf_link;
    bpf_link__fd: fn(*const bpf_link) -> c_int;
    bpf_link__pin_path: fn(*const bpf_link) -> *const c_char;
    bpf_link__disconnect: fn(*mut bpf_link);
    bpf_program__section_name: fn(*const bpf_program) -> *const c_char;
    bpf_program__type: fn(*const bpf_program) -> c_int;
    bpf_program__autoload: fn(*const bpf_program) -> bool;
    bpf_program__autoattach: fn(*const bpf_program) -> bool;
}

/// `struct bpf_perf_event_opts` up to the cookie (libbpf 0.5).
#[repr(C)]
pub(super) struct PerfEventOpts {
    pub(super) sz: usize,
    pub(super) bpf_cookie: u64,
}

impl Libbpf {
    /// The libbpf that made `prog`. There can be several in one process, and only
    /// its own knows how a program is laid out.
    ///
    /// A program points to the definition of its section, which lies in its
    /// libbpf: `sec_def`, the fifth word in 0.0.8 to 0.1, the first in 0.2 to 0.8,
    /// the fourth in 1.0 to 1.7. A program without one (its section is not known,
    /// or its type was set by hand) is taken for [`Libbpf::usual`]'s. If that file's
    /// functions cannot be found, as those of a libbpf that is linked statically, then
    /// none: another's would read what is not there.
    ///
    /// # Safety
    /// `prog` is NULL or a program of a loaded libbpf.
    pub(super) unsafe fn of(prog: *const bpf_program) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe { Self::by_definition(prog) }.unwrap_or_else(Self::usual)
    }

    /// The libbpf in which the definition of the program's section lies: none if the
    /// section is not known, or the program's type or its handler was set by hand.
    ///
    /// # Safety
    /// `prog` is NULL or a program of a loaded libbpf.
    pub(super) unsafe fn that_handles(prog: *const bpf_program) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe { Self::by_definition(prog) }.flatten()
    }

    /// The libbpf in which the definition lies, if its functions can be found; None if
    /// there is no definition.
    ///
    /// # Safety
    /// `prog` is NULL or a program of a loaded libbpf.
    pub(super) unsafe fn by_definition(prog: *const bpf_program) -> Option<Option<Self>> {
        const WORDS: usize = 5;
        if prog.is_null() {
            return None;
        }
        let global = Self(libc::RTLD_DEFAULT);
        let function = global.bpf_program__fd();
        let known = &REMEMBERED.definition;
        let mut found = None;
        for word in 0..WORDS {
            // SAFETY: in every release a program is longer than this.
            let word = unsafe { ptr::read(prog.cast::<*const c_void>().add(word)) };
            let distance = function.map(|function| (word as usize).wrapping_sub(function as usize));
            if distance == Some(known.load(Ordering::Relaxed)) {
                return Some(Some(global));
            }
            let Some(object) = object_at(word) else { continue };
            let has_it = |libbpf: &Self| {
                libbpf.object().is_some_and(|libbpf| libbpf.dli_fbase == object.dli_fbase)
            };
            // Symbols bound to another's functions in its place, if any, are kept.
            let usual = Self::usual().filter(has_it);
            if let (Some(_), Some(distance)) = (&usual, distance) {
                known.store(distance, Ordering::Relaxed);
            }
            found = Some(usual.or_else(|| Self::loaded(object.dli_fname).filter(has_it)));
            if matches!(found, Some(Some(_))) {
                break;
            }
        }
        found
    }

    /// The libbpf that the code at `caller` is linked to, where no program tells: a plugin
    /// can have one of its own, which no other file finds.
    pub(super) fn of_caller(caller: *const c_void) -> Option<Self> {
        let file = object_at(caller).and_then(|file| Self::loaded(file.dli_fname));
        file.filter(|file| file.bpf_program__fd().is_some()).or_else(Self::usual)
    }

    /// The libbpf that symbols are bound to, else one loaded with RTLD_LOCAL.
    pub(super) fn usual() -> Option<Self> {
        let global = Self(libc::RTLD_DEFAULT);
        if global.bpf_program__fd().is_some() { Some(global) } else { Self::by_name() }
    }

    fn by_name() -> Option<Self> {
        [c"libbpf.so.1", c"libbpf.so.0"].into_iter().find_map(|name| Self::loaded(name.as_ptr()))
    }

    /// A library that is loaded already; `name` is a C string.
    fn loaded(name: *const c_char) -> Option<Self> {
        // SAFETY: RTLD_NOLOAD runs no code of the library.
        let handle = unsafe { libc::dlopen(name, libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
        (!handle.is_null()).then_some(Self(handle))
    }

    /// The file that its functions are in.
    fn object(&self) -> Option<libc::Dl_info> {
        object_at(self.bpf_program__fd()? as *const c_void)
    }

    pub(super) fn address(&self, name: &CStr) -> *mut c_void {
        // SAFETY: the handle is open, or RTLD_DEFAULT.
        unsafe { libc::dlsym(self.0, name.as_ptr()) }
    }

    /// libbpf's own function of a name that this library has too, or NULL.
    pub(super) fn own(&self, name: &CStr) -> *mut c_void {
        let handle = if self.0 == libc::RTLD_DEFAULT { libc::RTLD_NEXT } else { self.0 };
        // SAFETY: the handle is open, or RTLD_NEXT: what is loaded after this library.
        let own = unsafe { libc::dlsym(handle, name.as_ptr()) };
        // A file that is linked to this library finds that first.
        let ours = object_at(object_at as *const c_void).map(|file| file.dli_fbase);
        let is_ours = object_at(own).map(|file| file.dli_fbase) == ours;
        if !own.is_null() && !is_ours {
            return own;
        }
        // It is loaded before this library, or was opened after the program began.
        // SAFETY: the handle is open.
        Self::by_name().map_or(own, |named| unsafe { libc::dlsym(named.0, name.as_ptr()) })
    }

    pub(super) fn own_libbpf_set_print(
        &self,
    ) -> Option<unsafe extern "C" fn(Option<Print>) -> Option<Print>> {
        // SAFETY: libbpf.h declares the function so.
        unsafe { core::mem::transmute(self.own(c"libbpf_set_print")) }
    }

    /// # Safety
    /// `prog` is a program of this libbpf.
    pub(super) unsafe fn program_fd(&self, prog: *const bpf_program) -> Result<c_int, Failure> {
        let program_fd = self.bpf_program__fd().ok_or(Failure::NoLibbpf)?;
        // SAFETY: the caller's promise.
        match unsafe { program_fd(prog) } {
            fd @ 0.. => Ok(fd),
            _ => Err(Failure::NotLoaded),
        }
    }

    /// Has libbpf itself make a link of a perf event, which it then owns.
    ///
    /// # Safety
    /// `prog` is a program of this libbpf.
    pub(super) unsafe fn attach_perf_event(
        &self,
        prog: *const bpf_program,
        event: c_int,
        cookie: u64,
    ) -> Result<*mut bpf_link, Failure> {
        let attach = self.bpf_program__attach_perf_event_opts().ok_or(Failure::NoLink)?;
        let opts = PerfEventOpts { sz: size_of::<PerfEventOpts>(), bpf_cookie: cookie };
        // SAFETY: the caller's promise; `opts` is read before the call returns.
        let link = unsafe { attach(prog, event, &opts) };
        // Before 1.0 libbpf may return a pointer made of a negative errno.
        match (link as usize).wrapping_neg() {
            0 => Err(Failure::Libbpf(errno().0.max(1))),
            negative @ 1..=4095 => Err(Failure::Libbpf(negative as c_int)),
            _ => Ok(link),
        }
    }
}

/// The loaded file that the address lies in.
fn object_at(address: *const c_void) -> Option<libc::Dl_info> {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: any address may be asked for; `info` is written if the result is not 0.
    unsafe { (libc::dladdr(address, info.as_mut_ptr()) != 0).then(|| info.assume_init()) }
}

impl Drop for Libbpf {
    fn drop(&mut self) {
        if self.0 != libc::RTLD_DEFAULT {
            // SAFETY: dlopen gave the handle. The program holds libbpf itself, for it has a
            // `struct bpf_program` of it, so this unloads nothing.
            unsafe { libc::dlclose(self.0) };
        }
    }
}
