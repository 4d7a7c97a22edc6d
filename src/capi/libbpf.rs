//! Finds the libbpf that is loaded in this process, when it is needed.
//!
//! It is not linked: preloaded into a program without libbpf this library must
//! not bring one in, and there can be any version of it. What was looked up in it is
//! remembered until the dynamic loader has loaded or unloaded anything, for the program may
//! unload it.

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

/// The functions of libbpf that are used often: the first for every attach, the others for
/// programs that attach by their sections. Each exists since 0.5 or before, or since no later than
/// the sections that it is used for (1.0).
macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        #[allow(non_camel_case_types, reason = "libbpf's own names")]
        enum Function { $($name),* }

        /// Their names, each in its place.
        const NAMES: &[&CStr] = &[$(
            match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => panic!(),
            }
        ),*];

        impl Libbpf {
            $(#[allow(non_snake_case, reason = "libbpf's own names")]
            pub(super) fn $name(&self) -> Option<unsafe extern "C" fn($($argument),*) $(-> $result)?> {
                // SAFETY: libbpf.h declares the function of this name so, and 0 is None.
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

/// How many functions an attach of a program uses, and a look at its section.
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

/// The functions of a loaded libbpf, those that it has.
///
/// They are valid for as long as it is loaded: the program that it made, which its user holds,
/// keeps it so.
#[derive(Clone, Copy)]
pub(super) struct Libbpf {
    /// The first `known` were looked up; the rest are 0.
    functions: [usize; NAMES.len()],
    known: usize,
    /// Whether its `struct bpf_link` begins as ours: see `layout.rs`.
    pub(super) has_our_layout: bool,
}

impl Libbpf {
    /// The libbpf that made `prog`. There can be several in one process, and only
    /// its own knows how a program is laid out.
    ///
    /// A program points to the definition of its section, which lies in its
    /// libbpf: `sec_def`, the fifth word in 0.0.8 to 0.1, the first in 0.2 to 0.8,
    /// the fourth in 1.0 to 1.7. A program without one (its section is not known,
    /// or its type was set by hand) is taken for [`Handle::usual`]'s. If that file's
    /// functions cannot be found, as those of a libbpf that is linked statically, then
    /// none: another's would read what is not there.
    ///
    /// # Safety
    /// `prog` is NULL or a program of a loaded libbpf.
    pub(super) unsafe fn of(prog: *const bpf_program) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe { Self::by_definition(prog, FOR_ATTACH) }
            .unwrap_or_else(|| Handle::usual().map(|handle| handle.libbpf(FOR_ATTACH)))
    }

    /// The libbpf in which the definition of the program's section lies: none if the
    /// section is not known, or the program's type or its handler was set by hand.
    ///
    /// # Safety
    /// `prog` is NULL or a program of a loaded libbpf.
    pub(super) unsafe fn that_handles(prog: *const bpf_program) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe { Self::by_definition(prog, FOR_SECTIONS) }.flatten()
    }

    /// The libbpf in which the definition lies, if its functions can be found; None if
    /// there is no definition. So many of the functions are looked up.
    ///
    /// # Safety
    /// `prog` is NULL or a program of a loaded libbpf.
    unsafe fn by_definition(prog: *const bpf_program, functions: usize) -> Option<Option<Self>> {
        if prog.is_null() {
            return None;
        }
        // SAFETY: in every release a program is longer than this.
        let words = unsafe { ptr::read(prog.cast::<[usize; WORDS]>()) };
        let memory = this_process();
        // Asked for before anything is looked up: what changes meanwhile makes that obsolete.
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

    /// The libbpf's own file, where a program tells it, or NULL for the one that the code at
    /// `caller` is linked to.
    ///
    /// # Safety
    /// `prog` is NULL or a program of a loaded libbpf.
    pub(super) unsafe fn handle_of(
        prog: *const bpf_program,
        caller: *const c_void,
    ) -> Option<Handle> {
        // SAFETY: the caller's promise.
        match unsafe { Self::by_definition(prog, FOR_ATTACH) } {
            Some(libbpf) => libbpf?.handle(),
            None => Handle::of_caller(caller),
        }
    }

    /// A function, which is looked up now if it was not with the others.
    fn address(&self, function: Function) -> usize {
        let place = function as usize;
        match self.functions.get(place) {
            Some(address) if place < self.known => *address,
            _ => self.rarely_used(NAMES[place]) as usize,
        }
    }

    /// A function that most programs need none of, so that it is not looked up with the others;
    /// NULL if there is none.
    fn rarely_used(&self, name: &CStr) -> *mut c_void {
        self.handle().map_or(ptr::null_mut(), |handle| handle.address(name))
    }

    /// The name of a program, or NULL.
    ///
    /// # Safety
    /// `prog` is NULL or a program of this libbpf.
    pub(super) unsafe fn program_name(&self, prog: *const bpf_program) -> *const c_char {
        type Name = unsafe extern "C" fn(*const bpf_program) -> *const c_char;
        if prog.is_null() {
            return ptr::null();
        }
        // SAFETY: libbpf.h declares the function so, and NULL is None.
        let name: Option<Name> =
            unsafe { core::mem::transmute(self.rarely_used(c"bpf_program__name")) };
        // SAFETY: the caller's promise.
        name.map_or(ptr::null(), |name| unsafe { name(prog) })
    }

    /// The file that it is in.
    pub(super) fn handle(&self) -> Option<Handle> {
        let [function, ..] = self.functions;
        let global = Handle(libc::RTLD_DEFAULT);
        if global.address(c"bpf_program__fd") as usize == function {
            return Some(global);
        }
        Handle::loaded(file_at(function as *const c_void)?.dli_fname)
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
        let attach = self.rarely_used(c"bpf_program__attach_perf_event_opts");
        // SAFETY: libbpf.h declares the function so, and NULL is None.
        let attach: Option<AttachPerfEvent> = unsafe { core::mem::transmute(attach) };
        let attach = attach.ok_or(Failure::NoLink)?;
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

/// One of the first `WORDS` words of a program is the address of its section's definition.
const WORDS: usize = 5;

/// A libbpf that was found, and how it is known again: a word of the program points into it.
struct Found {
    generation: Generation,
    /// Where its file is.
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

    /// Remembers it, unless something else was loaded or unloaded while it was looked for.
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

/// A loaded libbpf in which functions can be looked up; it stays loaded meanwhile.
pub(super) struct Handle(*mut c_void);

impl Handle {
    /// The libbpf that one of the words points into, with the addresses of its file; or without it,
    /// if a word points into a loaded file, but that file's functions cannot be found.
    /// `may_iterate` tells whether the loader may be asked as [`loader::range_at`] does.
    fn by_definition(
        words: &[usize; WORDS],
        may_iterate: bool,
    ) -> Option<(Range<usize>, Option<Self>)> {
        let range_at = |word: usize| if may_iterate { loader::range_at(word) } else { 0..0 };
        // First, for dladdr() reads all symbols of a file.
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
            // Symbols bound to another's functions in its place, if any, are kept.
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

    /// The libbpf that the code at `caller` is linked to, where no program tells: a plugin
    /// can have one of its own, which no other file finds.
    pub(super) fn of_caller(caller: *const c_void) -> Option<Self> {
        let file = file_at(caller).and_then(|file| Self::loaded(file.dli_fname));
        file.filter(Self::is_libbpf).or_else(Self::usual)
    }

    /// The libbpf that symbols are bound to, else one loaded with RTLD_LOCAL.
    fn usual() -> Option<Self> {
        Self::usual_with_program_fd().map(|(usual, _)| usual)
    }

    /// The same, with its `bpf_program__fd()`.
    fn usual_with_program_fd() -> Option<(Self, *mut c_void)> {
        let global = Self(libc::RTLD_DEFAULT);
        let with_function = |handle: Self| {
            let program_fd = handle.address(c"bpf_program__fd");
            (!program_fd.is_null()).then_some((handle, program_fd))
        };
        with_function(global).or_else(|| with_function(Self::by_name()?))
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

    fn is_libbpf(&self) -> bool {
        !self.address(c"bpf_program__fd").is_null()
    }

    /// The file that its functions are in.
    fn file(&self) -> Option<libc::Dl_info> {
        let function = self.address(c"bpf_program__fd");
        if function.is_null() { None } else { file_at(function) }
    }

    /// So many of its functions.
    fn libbpf(&self, known: usize) -> Libbpf {
        let mut functions = [0; NAMES.len()];
        for (function, name) in functions.iter_mut().zip(NAMES).take(known) {
            *function = self.address(name) as usize;
        }
        // SAFETY: they are what is asked for.
        let has_our_layout = unsafe {
            layout::is_ours(
                self.address(c"bpf_link__fd"),
                self.address(c"bpf_link__pin_path"),
                self.address(c"bpf_link__disconnect"),
            )
        };
        Libbpf { functions, known, has_our_layout }
    }

    #[inline(never)]
    pub(super) fn address(&self, name: &CStr) -> *mut c_void {
        // SAFETY: the handle is open, or RTLD_DEFAULT.
        unsafe { libc::dlsym(self.0, name.as_ptr()) }
    }

    /// libbpf's own function of a name that this library has too, or NULL; never this
    /// library's, which would call itself.
    pub(super) fn own(&self, name: &CStr) -> *mut c_void {
        // In libksyscall.a the linker has told them apart, and there are no files: see static.c.
        if Self::loaded(ptr::null()).is_none() {
            return self.address(name);
        }
        let ours = file_at(file_at as *const c_void).map(|file| file.dli_fbase);
        let is_libbpfs = |function: &*mut c_void| {
            file_at(*function).is_some_and(|file| Some(file.dli_fbase) != ours)
        };
        // Others may stand between this library and libbpf, as this one does.
        let next = Self(libc::RTLD_NEXT);
        let next = (self.0 == libc::RTLD_DEFAULT).then(|| next.address(name)).filter(is_libbpfs);
        // It is loaded before this library, or opened after the program began, or it is a
        // plugin's, which is linked to this library, too.
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
        // SAFETY: libbpf.h declares the function so.
        unsafe { core::mem::transmute(self.own(c"libbpf_set_print")) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.0 != libc::RTLD_DEFAULT && self.0 != libc::RTLD_NEXT {
            // SAFETY: dlopen gave the handle.
            unsafe { libc::dlclose(self.0) };
        }
    }
}
