//! Lets BPF programs written in Rust read a system call's arguments in the man page's order, on
//! every kernel and for every caller. The rules are the same as in the C header `ksyscall.bpf.h`,
//! which explains them and cites the kernel's sources. The tables are generated from the header.
//!
//! With aya-ebpf:
#![doc = "```"]
#![doc = include_str!("../doc/pread.rs")]
#![doc = "```"]
//!
//! If the layout is a constant, the compiler inlines everything, and leaves no branches that the
//! verifier cannot follow. Read the arguments at the entry of the function that serves the call:
//! when the function returns, they are no longer available. `bpf_probe_read_kernel()` requires the
//! program to have a GPL-compatible licence.
//!
//! # Strings that are not in memory at entry
//! The page that a pointer points to may not be in memory yet at entry. In that case
//! `bpf_probe_read_user_str_bytes()` fails with -14 (EFAULT), even for a valid path. [`Kept`] keeps
//! the pointer at entry and reads the string in a kretprobe at the call's return: by then the
//! kernel has read the string.
//!
//! # Calls through socketcall and ipc
//! On i386, s390x, POWER and 32-bit MIPS a process can make some calls through socketcall(2) and
//! ipc(2). The multiplexer's function then carries out the call, and the call's own function, such
//! as the one for connect(2), never runs. A program attached to both connect and socketcall uses
//! [`Call::sub_call`].
#![no_std]

#[rustfmt::skip]
mod kernels;

use core::ffi::c_void;
use core::marker::PhantomData;

use kernels::SUB_CALLS;
pub use kernels::{
    Aarch64, Arm, Loongarch64, Mips64, Powerpc, Powerpc64, Riscv64, S390x, X86, X86_64,
};

/// Describes the kernels for one architecture.
pub trait Kernel: sealed::Sealed {
    /// The architecture's register and argument layout.
    #[doc(hidden)]
    const PLACES: Places;
}

/// A kernel's layout. Places are offsets in bytes.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Places {
    pub(crate) bits: u32,
    pub(crate) is_big_endian: bool,
    /// Whether a pair of words starts at an even index.
    pub(crate) aligns: bool,
    /// In the program's context: the stack pointer, and the function's first argument.
    pub(crate) stack_pointer: Option<u64>,
    pub(crate) first: Option<u64>,
    /// The words that are arguments of the function: offsets in the context, or -1 for the stack.
    pub(crate) direct: [i16; 16],
    pub(crate) on_stack: [i16; 16],
    /// The words in the registers of a native caller, and of a 32-bit caller.
    pub(crate) saved: [i16; 16],
    pub(crate) saved_compat: [i16; 16],
    /// The call's number in the registers, or on the stack.
    pub(crate) number: Option<u64>,
    pub(crate) number_is_a_word: bool,
    pub(crate) number_mask: u32,
    pub(crate) number_on_stack: Option<u64>,
    /// Whether the task's thread info identifies 32-bit callers; otherwise the place, shift, mask and
    /// value that identify them in the registers.
    pub(crate) asks_thread: bool,
    pub(crate) mode: Option<(u64, u32, u64, u64)>,
    /// Which of ipc(2)'s arguments replaces the sixth, and whether the first contains a version.
    pub(crate) ipc_last: u64,
    pub(crate) ipc_has_versions: bool,
    /// Whether native and 32-bit callers have socketcall(2) and ipc(2).
    pub(crate) has_multiplexers: [bool; 2],
    /// The layouts, for 64-bit and 32-bit callers, of calls with an argument that is not one word.
    pub(crate) layouts: &'static [(&'static str, u64, u64)],
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! native {
    ($($arch:tt $kernel:ident)*) => {$(
        /// The kernel that the program is built for. For BPF targets,
        /// `--cfg bpf_target_arch="x86_64"` selects the kernel; aya-build passes this option. For
        /// other targets, `Native` is the kernel of the target architecture.
        #[cfg(any(all(target_arch = "bpf", bpf_target_arch = $arch), target_arch = $arch))]
        pub type Native = $kernel;
    )*};
}

native! {
    "x86_64" X86_64
    "x86" X86
    "aarch64" Aarch64
    "arm" Arm
    "riscv64" Riscv64
    "s390x" S390x
    "powerpc64" Powerpc64
    "powerpc" Powerpc
    "mips64" Mips64
    "loongarch64" Loongarch64
}

/// How the program reads memory. Each function returns 0 if it cannot read the address.
pub trait Memory {
    /// Reads eight bytes of kernel memory.
    fn kernel_u64(address: u64) -> u64;
    /// Reads four bytes of kernel memory.
    fn kernel_u32(address: u64) -> u32;
    /// Reads eight bytes of the caller's memory.
    fn user_u64(address: u64) -> u64;
    /// Reads four bytes of the caller's memory.
    fn user_u32(address: u64) -> u32;
    /// On x86-64, returns the current task's `thread_info.status`, from which [`Callers::Asked`]
    /// determines the kind of caller. The status occupies four bytes of kernel memory. Its offset
    /// from the address that `bpf_get_current_task()` returns is 16 in Linux 5.11 and later, and 8
    /// in earlier versions (`arch/x86/include/asm/thread_info.h`; `thread_info` is the task's first
    /// member). The loader passes the offset to the program in a global or a map. The default
    /// implementation returns 0, which means a native caller.
    fn thread_status() -> u32 {
        0
    }
}

/// Whose calls the program sees, on a 64-bit kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Callers {
    /// Callers with the kernel's own word size.
    Native,
    /// 32-bit callers, which enter through different functions. The program is attached only to
    /// those functions (`ksyscall::Callers::Compat`).
    Compat,
    /// Both kinds of callers. The program determines the kind of caller at run time: from
    /// [`Memory::thread_status`] on x86-64, and from the registers on arm64 and riscv64. On other
    /// architectures every caller counts as native.
    Asked,
}

/// How a call's arguments are laid out in the words that the caller passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    wide: u64,
    narrow: u64,
}

impl Layout {
    /// The layout of a call in which each argument is one word.
    pub const PLAIN: Self = Self { wide: 0, narrow: 0 };

    /// Returns the layout of a call. `call` is the name that the program is attached to, as in the
    /// syscall table of the caller's architecture. Evaluate this function in a constant, so that
    /// the program contains no names.
    pub const fn of<K: Kernel>(call: &str) -> Self {
        let layouts = K::PLACES.layouts;
        let mut index = 0;
        while index < layouts.len() {
            let (name, wide, narrow) = layouts[index];
            if is_same(name.as_bytes(), call.as_bytes()) {
                return Self { wide, narrow };
            }
            index += 1;
        }
        Self::PLAIN
    }
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut index = 0;
    while index < one.len() {
        if one[index] != other[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// A call that socketcall(2) or ipc(2) can carry out, on architectures that have them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SubCall {
    /// Encodes the source of each argument in four bits, followed by the call's number and a flag
    /// that is set if ipc(2) carries out the call.
    sources: u64,
    layout: Layout,
}

impl SubCall {
    /// Returns the sub-call with this name. Evaluate this function in a constant, so that the
    /// program contains no names.
    ///
    /// # Panics
    /// Panics if neither socketcall nor ipc carries out a call with this name. In a constant, this
    /// is a compile-time error.
    pub const fn of<K: Kernel>(call: &str) -> Self {
        let mut index = 0;
        while index < SUB_CALLS.len() {
            let (name, sources) = SUB_CALLS[index];
            if is_same(name.as_bytes(), call.as_bytes()) {
                return Self { sources, layout: Layout::of::<K>(call) };
            }
            index += 1;
        }
        panic!("neither socketcall nor ipc carries out this call")
    }

    /// The first argument that a process passes to the multiplexer, such as `SYS_CONNECT` or
    /// `SEMOP`.
    pub const fn number(self) -> u32 {
        (self.sources >> 24 & 0xff) as u32
    }

    /// The multiplexer that carries out the call.
    pub const fn multiplexer(self) -> Multiplexer {
        if self.sources & IS_IPC == 0 { Multiplexer::Socketcall } else { Multiplexer::Ipc }
    }
}

/// A system call that carries out other calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Multiplexer {
    /// socketcall(2).
    Socketcall,
    /// ipc(2).
    Ipc,
}

impl Multiplexer {
    /// MIPS uses different numbers, but on MIPS a program cannot read a call's number.
    const fn call_number(self) -> i32 {
        match self {
            Multiplexer::Socketcall => 102,
            Multiplexer::Ipc => 117,
        }
    }
}

/// A call that was made directly or through its multiplexer: see [`Call::sub_call`].
#[derive(Clone, Copy, Debug)]
pub struct Made<'a, K, M> {
    call: &'a Call<K, M>,
    which: SubCall,
    is_multiplexed: bool,
}

impl<K: Kernel, M: Memory> Made<'_, K, M> {
    /// Whether the call was made through its multiplexer.
    #[inline(always)]
    pub fn is_multiplexed(&self) -> bool {
        self.is_multiplexed
    }

    /// The call's nth argument, counted from 1: see [`Call::argument`] and
    /// [`Call::sub_call_argument`].
    #[inline(always)]
    pub fn argument(&self, n: usize) -> u64 {
        match self.is_multiplexed {
            true => self.call.sub_call_argument(self.which, n),
            false => self.call.argument(self.which.layout, n),
        }
    }
}

/// A call that triggered a program.
#[derive(Clone, Copy, Debug)]
pub struct Call<K, M> {
    /// The address of the caller's registers, or of the program's context.
    from: u64,
    stack: u64,
    has_registers: bool,
    is_compat: bool,
    of: PhantomData<(K, M)>,
}

// The kinds of words in a layout: see ksyscall.bpf.h.
const SIGNED: u64 = 1;
const LONG: u64 = 2;
const PAIR: u64 = 3;
const POINTED: u64 = 1 << 32;
const IN_PAGES: u64 = 1 << 33;
const IN_BYTES: u64 = 1 << 34;
const PAGE_SHIFT: u32 = 12;

// Where a sub-call's arguments are: see ksyscall.bpf.h.
const LAST: u64 = 7;
const POINTED_TO: u64 = 8;
const MESSAGE: u64 = 9;
const TYPE: u64 = 10;
const LISTED: u64 = 11;
const IS_IPC: u64 = 1 << 32;

impl<K: Kernel, M: Memory> Call<K, M> {
    const IS_32_BIT: bool = K::PLACES.bits == 32;
    // A BPF program uses the kernel's byte order.
    const IS_BIG_ENDIAN: bool = match cfg!(target_arch = "bpf") {
        true => cfg!(target_endian = "big"),
        false => K::PLACES.is_big_endian,
    };

    /// Returns the call that triggered the program.
    ///
    /// # Safety
    /// `context` must be the context that the kernel passes to a program of type kprobe.
    #[inline(always)]
    pub unsafe fn new(context: *const c_void, callers: Callers) -> Self {
        // SAFETY: the caller guarantees that `context` is a kprobe's context.
        let registers = unsafe { Self::registers(context) };
        let stack = match K::PLACES.stack_pointer {
            // SAFETY: the context contains the stack pointer.
            Some(place) => unsafe { Self::in_context(context, place) },
            None => 0,
        };
        let from = if registers == 0 { context as usize as u64 } else { registers };
        let is_compat = match callers {
            Callers::Native => false,
            Callers::Compat => true,
            Callers::Asked => Self::asks(registers),
        };
        Self { from, stack, has_registers: registers != 0, is_compat, of: PhantomData }
    }

    /// The call's nth argument, counted from 1 as in the man page. Cast it to the type in the man
    /// page. A pointer is an address in the caller's memory, which may not be resident at entry:
    /// see [the crate](crate). Returns 0 if `n` is not 1 to 6.
    #[inline(always)]
    pub fn argument(&self, layout: Layout, n: usize) -> u64 {
        if !matches!(n, 1..=6) {
            return 0;
        }
        if self.is_narrow() {
            self.by_layout(layout.narrow, true, n - 1)
        } else {
            self.by_layout(layout.wide, false, n - 1)
        }
    }

    /// The nth word that the caller passed, counted from 1. Each word is the content of one
    /// register.
    #[inline(always)]
    pub fn slot(&self, n: usize) -> u64 {
        self.argument(Layout::PLAIN, n)
    }

    /// Whether the caller is a 32-bit caller on a 64-bit kernel. If so, the call's number and
    /// arguments follow the 32-bit syscall table.
    #[inline(always)]
    pub fn is_compat(&self) -> bool {
        self.is_compat
    }

    /// The call's number in the caller's syscall table. None if the kernel function receives the
    /// arguments themselves instead of the caller's registers. On arm the number is always known.
    #[inline(always)]
    pub fn number(&self) -> Option<i32> {
        let places = const { K::PLACES };
        if let Some(place) = places.number_on_stack {
            return Some(Self::word_at(self.stack + place) as i32);
        }
        let place = places.number.filter(|_| self.has_registers)?;
        let number = match places.number_is_a_word {
            true => Self::word_at(self.from + place) as u32,
            false => M::kernel_u32(self.from + place),
        };
        Some((number & places.number_mask) as i32)
    }

    /// Returns this call if it is the call `which`, whether the caller made it directly or through
    /// socketcall(2) or ipc(2). Returns None if the multiplexer carries out a different call. Use
    /// this in a program that is attached to both the call and its multiplexer.
    ///
    /// [`Call::number`] distinguishes the call from its multiplexer. If the number is None, this
    /// function assumes that every caller that can use the multiplexer used it. On kernels where
    /// the number is None, attach the program only to the multiplexer.
    ///
    /// ```
    /// use ksyscall_ebpf::{Call, Kernel, Memory, SubCall};
    ///
    /// fn on_connect<K: Kernel, M: Memory>(call: &Call<K, M>) -> Option<i32> {
    ///     let made = call.sub_call(const { SubCall::of::<K>("connect") })?;
    ///     Some(made.argument(1) as i32)
    /// }
    /// ```
    #[inline(always)]
    pub fn sub_call(&self, which: SubCall) -> Option<Made<'_, K, M>> {
        let [of_native, of_compat] = const { K::PLACES.has_multiplexers };
        let multiplexer = which.multiplexer();
        // Indexing would require an array in memory, which a BPF program stores in a map.
        let has_multiplexer = if self.is_compat { of_compat } else { of_native };
        let is_multiplexed = has_multiplexer
            && self.number().is_none_or(|number| number == multiplexer.call_number());
        if is_multiplexed && self.sub_call_number(multiplexer) != which.number() {
            return None;
        }
        Some(Made { call: self, which, is_multiplexed })
    }

    /// The number of the call that socketcall(2) or ipc(2) carries out: see [`SubCall::number`].
    #[inline(always)]
    pub fn sub_call_number(&self, multiplexer: Multiplexer) -> u32 {
        let first = self.word(self.is_narrow(), 0) as u32;
        match multiplexer {
            Multiplexer::Socketcall => first,
            // The upper half of ipc's first argument contains a version.
            Multiplexer::Ipc => first & 0xffff,
        }
    }

    /// The nth argument of `which`, counted from 1 as in the man page, if this is a call to
    /// socketcall(2) or ipc(2) that carries out `which`. Returns 0 if `n` is not 1 to 6, or if the
    /// argument is in the caller's memory and cannot be read.
    ///
    /// The commands of semctl, msgctl and shmctl include `IPC_64` (0x100). The fourth argument of
    /// semctl is a `union semun`, passed as one word.
    #[inline(always)]
    pub fn sub_call_argument(&self, which: SubCall, n: usize) -> u64 {
        if !matches!(n, 1..=6) {
            return 0;
        }
        if self.is_narrow() {
            self.by_source(which.sources, true, n - 1)
        } else {
            self.by_source(which.sources, false, n - 1)
        }
    }

    #[inline(always)]
    fn by_source(&self, sources: u64, narrow: bool, n: usize) -> u64 {
        let places = const { K::PLACES };
        let size = if narrow { 4 } else { 8 };
        let of_user = |address| match narrow {
            true => u64::from(M::user_u32(address)),
            false => M::user_u64(address),
        };
        let has_version = places.ipc_has_versions && self.word(narrow, 0) as u32 >> 16 != 0;
        match sources >> (4 * n) & 15 {
            0 => 0,
            LAST => self.word(narrow, places.ipc_last as usize - 1),
            POINTED_TO => of_user(self.word(narrow, 4)),
            LISTED => of_user(self.word(narrow, 1).wrapping_add(size * n as u64)),
            MESSAGE if has_version => self.word(narrow, 4),
            MESSAGE => of_user(self.word(narrow, 4)),
            TYPE => {
                let value = match has_version {
                    true => self.word(narrow, 5),
                    false => of_user(self.word(narrow, 4).wrapping_add(size)),
                };
                if narrow { i64::from(value as u32 as i32) as u64 } else { value }
            }
            number => self.word(narrow, number as usize - 1),
        }
    }

    #[inline(always)]
    fn is_narrow(&self) -> bool {
        Self::IS_32_BIT || self.is_compat
    }

    /// The address of the caller's registers if the function receives a pointer to them, else 0.
    #[inline(always)]
    unsafe fn registers(context: *const c_void) -> u64 {
        let (Some(first), Some(stack)) = (K::PLACES.first, K::PLACES.stack_pointer) else {
            return 0;
        };
        // SAFETY: the context contains the first argument and the stack pointer.
        let (first, stack) =
            unsafe { (Self::in_context(context, first), Self::in_context(context, stack)) };
        let above = first.wrapping_sub(stack);
        let above = if Self::IS_32_BIT { above & 0xffff_ffff } else { above };
        let size = u64::from(K::PLACES.bits / 8);
        if above < 4096 && first % size == 0 { first } else { 0 }
    }

    #[inline(always)]
    fn asks(registers: u64) -> bool {
        let places = const { K::PLACES };
        if places.asks_thread {
            const TS_COMPAT: u32 = 2;
            return M::thread_status() & TS_COMPAT != 0;
        }
        match places.mode {
            Some((place, shift, mask, value)) if registers != 0 => {
                Self::word_at(registers + place) >> shift & mask == value
            }
            _ => false,
        }
    }

    #[inline(always)]
    unsafe fn in_context(context: *const c_void, place: u64) -> u64 {
        let address = context.cast::<u8>().wrapping_add(place as usize);
        // SAFETY: the caller guarantees that the context contains `place`.
        unsafe {
            match Self::IS_32_BIT {
                true => u64::from(address.cast::<u32>().read()),
                false => address.cast::<u64>().read(),
            }
        }
    }

    #[inline(always)]
    fn word_at(address: u64) -> u64 {
        match Self::IS_32_BIT {
            true => u64::from(M::kernel_u32(address)),
            false => M::kernel_u64(address),
        }
    }

    /// The nth word, counted from 0.
    #[inline(always)]
    fn word(&self, narrow: bool, n: usize) -> u64 {
        let places = const { K::PLACES };
        let place = |list: &[i16; 16]| i64::from(list[n & 15]);
        let direct = place(&places.direct);
        let mut from = self.from.wrapping_add(direct as u64);
        if direct < 0 {
            from = self.stack.wrapping_add(place(&places.on_stack) as u64);
        }
        if self.has_registers {
            let saved =
                if narrow && !Self::IS_32_BIT { &places.saved_compat } else { &places.saved };
            from = self.from.wrapping_add(place(saved) as u64);
        }
        let word = Self::word_at(from);
        if narrow { word & 0xffff_ffff } else { word }
    }

    /// Whether an x32 process made the call, according to `__X32_SYSCALL_BIT` in the call's number.
    #[inline(always)]
    fn is_x32(&self) -> bool {
        const X32_BIT: u64 = 0x4000_0000;
        match K::PLACES.number {
            // `asks_thread` is true only for x86-64.
            Some(place) if K::PLACES.asks_thread && self.has_registers => {
                Self::word_at(self.from + place) & X32_BIT != 0
            }
            _ => false,
        }
    }

    #[inline(always)]
    fn by_layout(&self, layout: u64, narrow: bool, n: usize) -> u64 {
        let place = ((layout >> (12 + 3 * n) & 7) ^ (n as u64 + 1)).wrapping_sub(1) as usize;
        let kind = |place: usize| layout >> (2 * place) & 3;
        let mut value;
        if layout & POINTED != 0 {
            let from = self.word(narrow, 0);
            value = match narrow {
                true => u64::from(M::user_u32(from.wrapping_add(4 * n as u64))),
                false => M::user_u64(from.wrapping_add(8 * n as u64)),
            };
        } else {
            let (mut word, mut is_behind_pair) = (0, false);
            let mut before = 0;
            while before <= place {
                let other = kind(before);
                if K::PLACES.aligns && narrow && other == LONG {
                    word += word & 1;
                }
                if before < place {
                    word += if other == PAIR || narrow && other == LONG { 2 } else { 1 };
                    is_behind_pair |= other == PAIR;
                }
                before += 1;
            }
            value = self.word(narrow, word);
            // x32 passes the pair in one word: see `preadv64v2` in fs/read_write.c.
            if is_behind_pair && !narrow && self.is_x32() {
                value = self.word(narrow, word - 1);
            }
            if narrow && kind(place) >= LONG {
                let second = self.word(narrow, word + 1);
                value = match kind(place) == LONG && Self::IS_BIG_ENDIAN {
                    true => value << 32 | second,
                    false => value | second << 32,
                };
            }
            if narrow && kind(place) == SIGNED {
                value = i64::from(value as u32 as i32) as u64;
            }
        }
        match n == 5 {
            true if layout & IN_PAGES != 0 => value << PAGE_SHIFT,
            true if layout & IN_BYTES != 0 => value >> PAGE_SHIFT,
            _ => value,
        }
    }
}

/// Keeps one pointer for each thread from a call's entry to its return. By the time the call
/// returns, the string that the pointer refers to is in memory. A program implements the methods
/// with an LRU hash map and two helpers:
///
#[doc = "```"]
#[doc = include_str!("../doc/path.rs")]
#[doc = "```"]
///
/// A call with two strings, such as rename(2), requires two maps. Programs for several calls may
/// share a map if each call has an entry program and a return program. Attach the return program
/// first. Otherwise a call that is made between the two attachments leaves a stale pointer in the
/// map.
///
/// # Cost
/// Each call requires a probe at its return and three operations on a hash map. The map allocates
/// about 100 bytes for each entry in advance.
///
/// # Limits
/// - If a return is lost (docs/returns.md), so is the string. The pointer stays in the map until
///   the thread next makes the call. A full LRU map drops its least recently used entries, which
///   may belong to calls in progress. The map needs more entries than the number of threads that
///   can be in these calls at the same time.
/// - A successful execve(2) replaces the memory: use the tracepoint `sched:sched_process_exec`.
/// - A call that fails before it reads its argument does not load the page, so reading the string
///   fails with -14 (EFAULT).
/// - Another thread may change the memory after the kernel reads it.
pub trait Kept {
    /// Returns the current thread's identifier, the result of `bpf_get_current_pid_tgid()`.
    fn thread() -> u64;
    /// Stores a thread's pointer in the map.
    fn insert(thread: u64, pointer: u64);
    /// Looks up a thread's pointer.
    fn get(thread: u64) -> Option<u64>;
    /// Removes a thread's pointer.
    fn remove(thread: u64);
    /// Reads a string from the caller's memory, as `bpf_probe_read_user_str()` does. Returns the
    /// string's length including the NUL, or a negative errno.
    fn user_str(to: &mut [u8], address: u64) -> i64;

    /// Keeps the pointer for the current thread. Use this in the kprobe at the function's entry.
    #[inline(always)]
    fn keep(pointer: u64) {
        Self::insert(Self::thread(), pointer);
    }

    /// Removes and returns the pointer that was kept. Use this in the kretprobe.
    #[inline(always)]
    fn take() -> Option<u64> {
        let thread = Self::thread();
        let pointer = Self::get(thread)?;
        Self::remove(thread);
        Some(pointer)
    }

    /// Removes the pointer and reads the string. Returns the length including the NUL, or a
    /// negative errno: -2 (ENOENT) if no pointer was kept.
    #[inline(always)]
    fn take_str(to: &mut [u8]) -> i64 {
        match Self::take() {
            Some(pointer) => Self::user_str(to, pointer),
            None => -2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A caller that passes the last address as each argument.
    struct Last;

    impl Memory for Last {
        fn kernel_u64(_: u64) -> u64 {
            u64::MAX
        }
        fn kernel_u32(_: u64) -> u32 {
            u32::MAX
        }
        fn user_u64(address: u64) -> u64 {
            address
        }
        fn user_u32(address: u64) -> u32 {
            address as u32
        }
    }

    #[test]
    fn a_callers_pointer_may_be_any_number() {
        let context = [0_u64; 128];
        // SAFETY: the context is at least as long as any kernel's context.
        let call = unsafe { Call::<S390x, Last>::new(context.as_ptr().cast(), Callers::Native) };
        assert_eq!(call.argument(Layout::of::<S390x>("mmap"), 2), 7);
    }
}
