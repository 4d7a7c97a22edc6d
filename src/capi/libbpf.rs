//! Finds the libbpf that is loaded in this process, and its functions.
//!
//! This library does not link to libbpf, for two reasons: preloading this library into a program
//! without libbpf must not load libbpf, and the process may contain any version of libbpf. When the
//! dynamic loader loads or unloads a file, this library discards the addresses of the functions
//! that it found, because the program may have unloaded libbpf.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ops::Range;
use core::ptr;

use errno::errno;

use super::layout;
use super::loader::{self, Generation, file_at};
use super::remembered::{ThisProcess, this_process};
use super::{Failure, bpf_link, bpf_program};

/// libbpf's `libbpf_print_fn_t`. The last argument is a `va_list`.
pub(super) type Print =
    unsafe extern "C" fn(level: c_int, format: *const c_char, arguments: *mut c_void) -> c_int;

/// Declares the libbpf functions that are used often. Every attach uses the first `FOR_ATTACH`
/// functions in the list. Attaching programs by their sections also requires the others. libbpf 0.5
/// and later define the functions for every attach. libbpf 1.0 and later, which support these
/// sections, define all functions in the list.
macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        #[allow(non_camel_case_types, reason = "libbpf's own names")]
        enum Function { $($name),* }

        /// The functions' names, in the order of `Function`.
        const NAMES: &[&CStr] = &[$(
            match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => panic!(),
            }
        ),*];

        impl Libbpf {
            $(#[allow(non_snake_case, reason = "libbpf's own names")]
            pub(super) fn $name(&self) -> Option<unsafe extern "C" fn($($argument),*) $(-> $result)?> {
                // SAFETY: libbpf.h declares the function with this type, and 0 becomes None.
                unsafe { core::mem::transmute(self.address(Function::$name)) }
            })*
        }
    };
}

functions! {
    bpf_program__fd: fn(*const bpf_program) -> c_int;
    bpf_program__section_name: fn(*const bpf_program) -> *const c_char;
    bpf_program__type: fn(*const bpf_program) -> c_int;
    bpf_program__autoload: fn(*const bpf_program) -> bool;
    bpf_program__autoattach: fn(*const bpf_program) -> bool;
}

/// The number of functions that an attach requires, and the number that recognising a section
/// requires.
const FOR_ATTACH: usize = 1;
const FOR_SECTIONS: usize = NAMES.len();

/// `struct bpf_perf_event_opts` up to the cookie (libbpf 0.5).
#[repr(C)]
pub(super) struct PerfEventOpts {
    pub(super) sz: usize,
    pub(super) bpf_cookie: u64,
}

type AttachPerfEvent =
    unsafe extern "C" fn(*const bpf_program, c_int, *const PerfEventOpts) -> *mut bpf_link;

/// The functions of a loaded libbpf.
///
/// The addresses are valid while this libbpf is loaded. This libbpf stays loaded as long as the
/// caller holds one of its programs.
#[derive(Clone, Copy)]
pub(super) struct Libbpf {
    /// The functions' addresses. Only the first `known` functions were looked up; the other
    /// elements are 0.
    functions: [usize; NAMES.len()],
    known: usize,
    /// Whether this libbpf's `struct bpf_link` begins like ours: see `layout.rs`.
    pub(super) has_our_layout: bool,
}

impl Libbpf {
    /// Finds the libbpf that created `prog`. A process can contain several copies of libbpf, and
    /// only the copy that created a program knows the program's layout.
    ///
    /// A program points to its section's definition, which lies in the program's libbpf. The
    /// pointer is `sec_def`: the fifth word in libbpf 0.0.8 to 0.1, the first in 0.2 to 0.8, and
    /// the fourth in 1.0 to 1.7. A program without a definition (an unknown section, or a type that
    /// was set by hand) is assumed to belong to the libbpf that [`Handle::usual`] finds. Returns
    /// None if the file that contains the definition does not provide libbpf's functions, for
    /// example because libbpf is linked statically. The functions of another libbpf would misread
    /// the program.
    ///
    /// # Safety
    /// `prog` must be NULL or a program that a loaded libbpf created.
    pub(super) unsafe fn of(prog: *const bpf_program) -> Option<Self> {
        // SAFETY: guaranteed by the caller.
        unsafe { Self::by_definition(prog, FOR_ATTACH) }
            .unwrap_or_else(|| Handle::usual().map(|handle| handle.libbpf(FOR_ATTACH)))
    }

    /// Finds the libbpf that contains the definition of the program's section. Returns None if the
    /// section is unknown, or if the program's type or handler was set by hand.
    ///
    /// # Safety
    /// `prog` must be NULL or a program that a loaded libbpf created.
    pub(super) unsafe fn that_handles(prog: *const bpf_program) -> Option<Self> {
        // SAFETY: guaranteed by the caller.
        unsafe { Self::by_definition(prog, FOR_SECTIONS) }.flatten()
    }

    /// Finds the libbpf that contains the definition of the program's section. Returns None if
    /// there is no definition, and `Some(None)` if the functions of that libbpf cannot be found.
    /// `functions` is the number of functions to look up.
    ///
    /// # Safety
    /// `prog` must be NULL or a program that a loaded libbpf created.
    unsafe fn by_definition(prog: *const bpf_program, functions: usize) -> Option<Option<Self>> {
        if prog.is_null() {
            return None;
        }
        // SAFETY: in every release of libbpf a program is longer than this.
        let words = unsafe { ptr::read(prog.cast::<[usize; WORDS]>()) };
        let memory = this_process();
        // Read the generation before the lookups: if the loader changes anything during the
        // lookups, the results are obsolete.
        let generation = memory.and_then(|_| loader::generation());
        let memory = memory.zip(generation);
        if let Some(found) = memory.and_then(|(memory, generation)| {
            let found = Found::read(memory)?;
            let is_enough = found.libbpf.known >= functions;
            (is_enough && found.is_of(&words, generation)).then_some(found)
        }) {
            return Some(Some(found.libbpf));
        }
        let (range, handle) = Handle::by_definition(&words, memory.is_some())?;
        let libbpf = handle.map(|handle| handle.libbpf(functions));
        if let (Some((memory, generation)), Some(libbpf)) = (memory, libbpf) {
            Found { generation, range, libbpf }.write(memory);
        }
        Some(libbpf)
    }

    /// Finds the libbpf that created `prog`. If `prog` is NULL or has no definition, finds the
    /// libbpf that the code at `caller` is linked to.
    ///
    /// # Safety
    /// `prog` must be NULL or a program that a loaded libbpf created.
    pub(super) unsafe fn handle_of(
        prog: *const bpf_program,
        caller: *const c_void,
    ) -> Option<Handle> {
        // SAFETY: guaranteed by the caller.
        match unsafe { Self::by_definition(prog, FOR_ATTACH) } {
            Some(libbpf) => libbpf?.handle(),
            None => Handle::of_caller(caller),
        }
    }

    /// Returns a function's address, after looking it up if it is not known yet.
    fn address(&self, function: Function) -> usize {
        let place = function as usize;
        match self.functions.get(place) {
            Some(address) if place < self.known => *address,
            _ => self.rarely_used(NAMES[place]) as usize,
        }
    }

    /// Returns the address of a function, or NULL if libbpf does not have the function. Few
    /// programs need the functions that are looked up here, so the addresses are not remembered.
    fn rarely_used(&self, name: &CStr) -> *mut c_void {
        self.handle().map_or(ptr::null_mut(), |handle| handle.address(name))
    }

    /// Returns the name of a program, or NULL.
    ///
    /// # Safety
    /// `prog` must be NULL or a program that this libbpf created.
    pub(super) unsafe fn program_name(&self, prog: *const bpf_program) -> *const c_char {
        type Name = unsafe extern "C" fn(*const bpf_program) -> *const c_char;
        if prog.is_null() {
            return ptr::null();
        }
        // SAFETY: libbpf.h declares the function with this type, and NULL becomes None.
        let name: Option<Name> =
            unsafe { core::mem::transmute(self.rarely_used(c"bpf_program__name")) };
        // SAFETY: guaranteed by the caller.
        name.map_or(ptr::null(), |name| unsafe { name(prog) })
    }

    /// Returns a handle to the file that contains this libbpf.
    pub(super) fn handle(&self) -> Option<Handle> {
        let [function, ..] = self.functions;
        let global = Handle(libc::RTLD_DEFAULT);
        if global.address(c"bpf_program__fd") as usize == function {
            return Some(global);
        }
        Handle::loaded(file_at(function as *const c_void)?.dli_fname)
    }

    /// # Safety
    /// `prog` must be a program that this libbpf created.
    pub(super) unsafe fn program_fd(&self, prog: *const bpf_program) -> Result<c_int, Failure> {
        let program_fd = self.bpf_program__fd().ok_or(Failure::NoLibbpf)?;
        // SAFETY: guaranteed by the caller.
        match unsafe { program_fd(prog) } {
            fd @ 0.. => Ok(fd),
            _ => Err(Failure::NotLoaded),
        }
    }

    /// Lets libbpf create a link from a perf event. The link then owns the event.
    ///
    /// # Safety
    /// `prog` must be a program that this libbpf created.
    pub(super) unsafe fn attach_perf_event(
        &self,
        prog: *const bpf_program,
        event: c_int,
        cookie: u64,
    ) -> Result<*mut bpf_link, Failure> {
        let attach = self.rarely_used(c"bpf_program__attach_perf_event_opts");
        // SAFETY: libbpf.h declares the function with this type, and NULL becomes None.
        let attach: Option<AttachPerfEvent> = unsafe { core::mem::transmute(attach) };
        let attach = attach.ok_or(Failure::NoLink)?;
        let opts = PerfEventOpts { sz: size_of::<PerfEventOpts>(), bpf_cookie: cookie };
        // SAFETY: guaranteed by the caller; libbpf reads `opts` before the call returns.
        let link = unsafe { attach(prog, event, &opts) };
        // libbpf before 1.0 may return a negative errno as a pointer.
        match (link as usize).wrapping_neg() {
            0 => Err(Failure::Libbpf(errno().0.max(1))),
            negative @ 1..=4095 => Err(Failure::Libbpf(negative as c_int)),
            _ => Ok(link),
        }
    }
}

/// One of a program's first `WORDS` words is the address of the definition of the program's
/// section.
const WORDS: usize = 5;

/// A libbpf that was found. A program belongs to this libbpf if one of the program's words points
/// into `range`.
struct Found {
    generation: Generation,
    /// The address range at which the file that contains this libbpf is mapped.
    range: Range<usize>,
    libbpf: Libbpf,
}

impl Found {
    fn is_of(&self, words: &[usize; WORDS], generation: Generation) -> bool {
        self.generation == generation && words.iter().any(|word| self.range.contains(word))
    }

    fn read(memory: &ThisProcess) -> Option<Self> {
        let [loaded, unloaded, start, end, known, layout, functions @ ..] = memory.libbpf.read()?;
        Some(Self {
            generation: Generation { loaded, unloaded },
            range: start..end,
            libbpf: Libbpf { functions, known, has_our_layout: layout != 0 },
        })
    }

    /// Remembers the libbpf, unless the loader loaded or unloaded a file during the lookup.
    fn write(self, memory: &ThisProcess) {
        let Self { generation, range, libbpf } = self;
        if loader::generation() != Some(generation) {
            return;
        }
        let Generation { loaded, unloaded } = generation;
        let layout = libbpf.has_our_layout.into();
        let [program_fd, section_name, kind, autoload, autoattach] = libbpf.functions;
        memory.libbpf.write([
            loaded,
            unloaded,
            range.start,
            range.end,
            libbpf.known,
            layout,
            program_fd,
            section_name,
            kind,
            autoload,
            autoattach,
        ]);
    }
}

/// A handle for looking up functions in a loaded libbpf. Unless it is `RTLD_DEFAULT`, the handle
/// keeps the libbpf loaded.
pub(super) struct Handle(*mut c_void);

impl Handle {
    /// Finds the libbpf that one of the words points into, and the address range at which it is
    /// mapped. If a word points into a loaded file but the file's functions cannot be found, the
    /// handle is None. If `may_iterate` is false, [`loader::range_at`] is not called and the range
    /// is empty.
    fn by_definition(
        words: &[usize; WORDS],
        may_iterate: bool,
    ) -> Option<(Range<usize>, Option<Self>)> {
        let range_at = |word: usize| if may_iterate { loader::range_at(word) } else { 0..0 };
        // Try the usual libbpf first, because this avoids dladdr(), which reads all symbols of a
        // file.
        if let Some((usual, program_fd)) = Self::usual_with_program_fd().filter(|_| may_iterate) {
            let range = range_at(program_fd as usize);
            if words.iter().any(|word| range.contains(word)) {
                return Some((range, Some(usual)));
            }
        }
        let mut found = None;
        for word in *words {
            let Some(file) = file_at(word as *const c_void) else { continue };
            let has_it = |libbpf: &Self| {
                libbpf.file().is_some_and(|libbpf| libbpf.dli_fbase == file.dli_fbase)
            };
            // If another library replaces functions of the usual libbpf, keep using the
            // replacements.
            let usual = Self::usual().filter(has_it);
            let handle = usual.or_else(|| Self::loaded(file.dli_fname).filter(has_it));
            let is_libbpf = handle.is_some();
            found = Some((range_at(word), handle));
            if is_libbpf {
                break;
            }
        }
        found
    }

    /// Finds the libbpf that the code at `caller` is linked to, where no program identifies it. A
    /// plugin can have its own copy of libbpf, whose symbols other files do not see.
    pub(super) fn of_caller(caller: *const c_void) -> Option<Self> {
        let file = file_at(caller).and_then(|file| Self::loaded(file.dli_fname));
        file.filter(|file| file.program_fd().is_some()).or_else(Self::usual)
    }

    /// Finds the libbpf that global symbols are bound to or, if there is none, a libbpf that was
    /// loaded with RTLD_LOCAL.
    fn usual() -> Option<Self> {
        Self::usual_with_program_fd().map(|(usual, _)| usual)
    }

    /// Like [`Handle::usual`], but also returns `bpf_program__fd()` from that libbpf.
    fn usual_with_program_fd() -> Option<(Self, *mut c_void)> {
        let global = Self(libc::RTLD_DEFAULT);
        let with_function = |handle: Self| handle.program_fd().map(|function| (handle, function));
        with_function(global).or_else(|| with_function(Self::by_name()?))
    }

    fn by_name() -> Option<Self> {
        [c"libbpf.so.1", c"libbpf.so.0"].into_iter().find_map(|name| Self::loaded(name.as_ptr()))
    }

    /// Returns a handle to a library that is already loaded, or to the main program if `name` is
    /// NULL. Otherwise, `name` must be a C string.
    fn loaded(name: *const c_char) -> Option<Self> {
        // SAFETY: with RTLD_NOLOAD, dlopen() runs no code from the library.
        let handle = unsafe { libc::dlopen(name, libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
        (!handle.is_null()).then_some(Self(handle))
    }

    /// Returns `bpf_program__fd()`, or None if this is not a libbpf.
    fn program_fd(&self) -> Option<*mut c_void> {
        Some(self.address(c"bpf_program__fd")).filter(|function| !function.is_null())
    }

    /// Returns the file that contains this libbpf's functions.
    fn file(&self) -> Option<libc::Dl_info> {
        file_at(self.program_fd()?)
    }

    /// Looks up the first `known` functions in `NAMES`, and checks the layout of `struct bpf_link`.
    fn libbpf(&self, known: usize) -> Libbpf {
        let mut functions = [0; NAMES.len()];
        for (function, name) in functions.iter_mut().zip(NAMES).take(known) {
            *function = self.address(name) as usize;
        }
        Libbpf { functions, known, has_our_layout: layout::is_ours(self) }
    }

    #[inline(never)]
    pub(super) fn address(&self, name: &CStr) -> *mut c_void {
        // SAFETY: the handle is open, or RTLD_DEFAULT.
        unsafe { libc::dlsym(self.0, name.as_ptr()) }
    }

    /// Returns libbpf's own definition of a function that this library also exports, or NULL. Never
    /// returns this library's function, which would then call itself.
    pub(super) fn own(&self, name: &CStr) -> *mut c_void {
        // In libksyscall.a, dlopen() is a stub that always fails, and the linker has given libbpf's
        // function a separate name: see static.c.
        if Self::loaded(ptr::null()).is_none() {
            return self.address(name);
        }
        let ours = file_at(file_at as *const c_void).map(|file| file.dli_fbase);
        let is_libbpfs = |function: &*mut c_void| {
            file_at(*function).is_some_and(|file| Some(file.dli_fbase) != ours)
        };
        // A library that the loader searches after this library may also replace libbpf's
        // functions.
        let next = Self(libc::RTLD_NEXT);
        let next = (self.0 == libc::RTLD_DEFAULT).then(|| next.address(name)).filter(is_libbpfs);
        // Otherwise, libbpf was loaded before this library, was loaded later by dlopen(), or
        // belongs to a plugin that is also linked to this library.
        let in_its_file = || {
            let file = Self::loaded(self.file()?.dli_fname)?;
            Some(file.address(name)).filter(is_libbpfs)
        };
        let by_name = || Some(Self::by_name()?.address(name)).filter(is_libbpfs);
        next.or_else(in_its_file).or_else(by_name).unwrap_or(ptr::null_mut())
    }

    pub(super) fn own_libbpf_set_print(
        &self,
    ) -> Option<unsafe extern "C" fn(Option<Print>) -> Option<Print>> {
        // SAFETY: libbpf.h declares the function with this type, and NULL becomes None.
        unsafe { core::mem::transmute(self.own(c"libbpf_set_print")) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.0 != libc::RTLD_DEFAULT && self.0 != libc::RTLD_NEXT {
            // SAFETY: dlopen() returned the handle.
            unsafe { libc::dlclose(self.0) };
        }
    }
}
