//! For BPF programs in Rust that are attached to a system call: its arguments, in the order of
//! the man page, whatever the kernel's function gets and whoever calls. These are the rules of
//! `ksyscall.bpf.h` for C, where they are told with their sources; the numbers are made of it.
//!
//! With aya-ebpf:
#![doc = "```"]
#![doc = include_str!("../doc/pread.rs")]
#![doc = "```"]
//!
//! All is inlined and without a branch that the verifier could not follow, if the layout is a
//! constant. It holds at the entry of the function that serves the call; at its return the
//! arguments are gone. The program needs a licence that is compatible with the GPL, as
//! `bpf_probe_read_kernel()` does.
//!
//! # Strings that are not in memory at entry
//! What a pointer points to need not be in memory yet: at entry
//! `bpf_probe_read_user_str_bytes()` then fails with -14 (EFAULT) for a valid path. [`Kept`] keeps
//! the pointer at entry and reads the string in a kretprobe at the call's return: by then the
//! kernel has read it, too.
//!
//! # Calls through socketcall and ipc
//! On i386, s390x, POWER and 32-bit MIPS a process can make some calls through socketcall(2) and
//! ipc(2), whose function carries them out: that of connect(2) is not entered. A program that is
//! attached to connect and socketcall asks [`Call::sub_call`].
#![no_std]

#[rustfmt::skip]
mod kernels;

use core::ffi::c_void;
use core::marker::PhantomData;

#[doc(hidden)]
pub use kernels::Places;
use kernels::SUB_CALLS;
pub use kernels::{
    Aarch64, Arm, Loongarch64, Mips64, Powerpc, Powerpc64, Riscv64, S390x, X86, X86_64,
};

/// An architecture's kernels.
pub trait Kernel: sealed::Sealed {
    /// Where it has what.
    #[doc(hidden)]
    const PLACES: Places;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! native {
    ($($arch:tt $kernel:ident)*) => {$(
        /// The kernel that the program is built for. In BPF that is told by
        /// `--cfg bpf_target_arch="x86_64"`, as aya-build does; elsewhere it is this target's.
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

/// How the program reads memory: 0 stands for what cannot be read.
pub trait Memory {
    /// Eight bytes of the kernel's.
    fn kernel_u64(address: u64) -> u64;
    /// Four bytes of the kernel's.
    fn kernel_u32(address: u64) -> u32;
    /// Eight bytes of the caller's.
    fn user_u64(address: u64) -> u64;
    /// Four bytes of the caller's.
    fn user_u32(address: u64) -> u32;
    /// On x86-64 the current task's `thread_info.status`, by which [`Callers::Asked`] tells
    /// whose call it is: four bytes of the kernel's behind what `bpf_get_current_task()`
    /// gives, 16 from there since Linux 5.11 and 8 before (`arch/x86/include/asm/thread_info.h`;
    /// it is the task's first member). Which of them the program's loader tells it, by a global
    /// or a map. By default 0: a native caller.
    fn thread_status() -> u32 {
        0
    }
}

/// Whose calls the program sees, on a 64-bit kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Callers {
    /// Those of the kernel's own word size.
    Native,
    /// 32-bit ones, which enter by other functions: the program is attached to those alone
    /// (`ksyscall::Callers::Compat`).
    Compat,
    /// Both, and it is asked who calls: on x86-64 by [`Memory::thread_status`], on arm64 and
    /// riscv64 by the registers; elsewhere that cannot be asked, and it is a native one.
    Asked,
}

/// How a call's arguments lie in its words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    wide: u64,
    narrow: u64,
}

impl Layout {
    /// That of a call in which each argument is one word.
    pub const PLAIN: Self = Self { wide: 0, narrow: 0 };

    /// That of a call of a kernel, by its name in the table of the caller's architecture, as
    /// it was attached to. To be had as a constant: then no name is in the program.
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
    /// Where its arguments are, four bits for each; then its number, and whether it is ipc's.
    sources: u64,
    layout: Layout,
}

impl SubCall {
    /// The one of that name, to be had as a constant: then no name is in the program.
    ///
    /// # Panics
    /// If neither socketcall nor ipc carries out such a call. In a constant that is an error of the
    /// compiler.
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

    /// What a process passes to the multiplexer first: `SYS_CONNECT`, `SEMOP`.
    pub const fn number(self) -> u32 {
        (self.sources >> 24 & 0xff) as u32
    }

    /// What carries it out.
    pub const fn multiplexer(self) -> Multiplexer {
        if self.sources & IS_IPC == 0 { Multiplexer::Socketcall } else { Multiplexer::Ipc }
    }
}

/// A call that carries out others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Multiplexer {
    /// socketcall(2).
    Socketcall,
    /// ipc(2).
    Ipc,
}

impl Multiplexer {
    /// That of MIPS differs, but there the number cannot be asked.
    const fn call_number(self) -> i32 {
        match self {
            Multiplexer::Socketcall => 102,
            Multiplexer::Ipc => 117,
        }
    }
}

/// A call that was made by itself or through its multiplexer: see [`Call::sub_call`].
#[derive(Clone, Copy, Debug)]
pub struct Made<'a, K, M> {
    call: &'a Call<K, M>,
    which: SubCall,
    is_multiplexed: bool,
}

impl<K: Kernel, M: Memory> Made<'_, K, M> {
    /// Whether it was made through its multiplexer.
    #[inline(always)]
    pub fn is_multiplexed(&self) -> bool {
        self.is_multiplexed
    }

    /// The call's nth argument, from 1 on: as [`Call::argument`], or [`Call::sub_call_argument`].
    #[inline(always)]
    pub fn argument(&self, n: usize) -> u64 {
        match self.is_multiplexed {
            true => self.call.sub_call_argument(self.which, n),
            false => self.call.argument(self.which.layout, n),
        }
    }
}

/// A call as a program sees it.
#[derive(Clone, Copy, Debug)]
pub struct Call<K, M> {
    /// The caller's registers, or the program's context.
    from: u64,
    stack: u64,
    has_registers: bool,
    is_compat: bool,
    of: PhantomData<(K, M)>,
}

// Kinds of a layout's words: see ksyscall.bpf.h.
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
    // A BPF program has the byte order of its kernel.
    const IS_BIG_ENDIAN: bool = match cfg!(target_arch = "bpf") {
        true => cfg!(target_endian = "big"),
        false => K::PLACES.is_big_endian,
    };

    /// The call that runs the program.
    ///
    /// # Safety
    /// `context` is what the kernel gives a program of type kprobe.
    #[inline(always)]
    pub unsafe fn new(context: *const c_void, callers: Callers) -> Self {
        // SAFETY: the caller's promise.
        let registers = unsafe { Self::registers(context) };
        let stack = match K::PLACES.stack_pointer {
            // SAFETY: the context has it.
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

    /// The call's nth argument, from 1 on, as the man page counts: to be cast to the type
    /// that it has there. A pointer is an address in the caller's memory, which need not be
    /// resident at entry: see [the crate](crate). 0 for others than 1 to 6.
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

    /// The nth word that the caller passed, from 1 on: register by register.
    #[inline(always)]
    pub fn slot(&self, n: usize) -> u64 {
        self.argument(Layout::PLAIN, n)
    }

    /// Whether the caller is a 32-bit one on a 64-bit kernel: then the number and the
    /// arguments are of that table.
    #[inline(always)]
    pub fn is_compat(&self) -> bool {
        self.is_compat
    }

    /// The number of the call in the caller's table; None where the function gets the
    /// arguments themselves, but for arm.
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

    /// This call if it is the one that is asked for: made by itself, or through its multiplexer,
    /// socketcall(2) or ipc(2). None if another call is made through that. For a program that is
    /// attached to both.
    ///
    /// Which of them it is, [`Call::number`] tells. If that is None, callers that have the
    /// multiplexer are taken to have made it: there, attach the program to the multiplexer alone.
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
        // An index would take a table, which is a map in a BPF program.
        let has_multiplexer = if self.is_compat { of_compat } else { of_native };
        let is_multiplexed = has_multiplexer
            && self.number().is_none_or(|number| number == multiplexer.call_number());
        if is_multiplexed && self.sub_call_number(multiplexer) != which.number() {
            return None;
        }
        Some(Made { call: self, which, is_multiplexed })
    }

    /// Of a call to socketcall(2) or ipc(2) the number of the call that it carries out:
    /// [`SubCall::number`].
    #[inline(always)]
    pub fn sub_call_number(&self, multiplexer: Multiplexer) -> u32 {
        let first = self.word(self.is_narrow(), 0) as u32;
        match multiplexer {
            Multiplexer::Socketcall => first,
            // Above is a version.
            Multiplexer::Ipc => first & 0xffff,
        }
    }

    /// Of a call to socketcall(2) or ipc(2) that carries out `which` the nth argument of that, from
    /// 1 on, as the man page counts. 0 for others than 1 to 6, and where the caller's memory has it
    /// and cannot be read.
    ///
    /// The commands of semctl, msgctl and shmctl have `IPC_64` (0x100) in them, and semctl's fourth
    /// is the union as a word.
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

    /// The caller's registers, if the function gets a pointer to them, else 0.
    #[inline(always)]
    unsafe fn registers(context: *const c_void) -> u64 {
        let (Some(first), Some(stack)) = (K::PLACES.first, K::PLACES.stack_pointer) else {
            return 0;
        };
        // SAFETY: the context has both.
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
        // SAFETY: the caller's promise.
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

    /// The nth word from 0 on.
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

    /// Whether an x32 process made the call: `__X32_SYSCALL_BIT` of its number.
    #[inline(always)]
    fn is_x32(&self) -> bool {
        const X32_BIT: u64 = 0x4000_0000;
        match K::PLACES.number {
            // x86-64's kernels alone.
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
                true => u64::from(M::user_u32(from + 4 * n as u64)),
                false => M::user_u64(from + 8 * n as u64),
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
            // x32 passes the pair in one word: `preadv64v2` of fs/read_write.c.
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

/// Keeps a pointer of each thread from a call's entry to its return, where the string that it
/// points to is in memory. The methods that a program writes are those of a map, an LRU hash, and
/// two helpers:
///
#[doc = "```"]
#[doc = include_str!("../doc/path.rs")]
#[doc = "```"]
///
/// A call with two strings (rename) has two maps. Programs of several calls may share a map, if each
/// of the calls has both programs. Attach the return's first, so that no call in between leaves its
/// entry behind.
///
/// # Cost
/// The probe at the return, and three operations on a hash map for each call. The map takes some 100
/// bytes for each entry, whether used or not.
///
/// # Limits
/// - A return can be lost (docs/returns.md): the string is, too. The pointer stays in the map
///   until the thread makes the next such call. An LRU map that is full drops entries that were not
///   used for long, possibly of a call that still waits: it has to have more entries than threads
///   that can be in such calls at a time.
/// - A successful execve(2) has replaced the memory: use the tracepoint `sched:sched_process_exec`.
/// - A call that fails before it reads its argument leaves the page where it was: -14 (EFAULT).
/// - Another thread can have changed the memory since the kernel read it.
pub trait Kept {
    /// What `bpf_get_current_pid_tgid()` returns.
    fn thread() -> u64;
    /// Puts the pointer of a thread into the map.
    fn insert(thread: u64, pointer: u64);
    /// The pointer of a thread in the map.
    fn get(thread: u64) -> Option<u64>;
    /// Removes that of a thread.
    fn remove(thread: u64);
    /// Reads a string of the caller's with its NUL: its length, or a negative errno.
    /// `bpf_probe_read_user_str()`.
    fn user_str(to: &mut [u8], address: u64) -> i64;

    /// Keeps the pointer for this thread: at a call's entry.
    #[inline(always)]
    fn keep(pointer: u64) {
        Self::insert(Self::thread(), pointer);
    }

    /// Removes and returns what was kept: at the call's return.
    #[inline(always)]
    fn take() -> Option<u64> {
        let thread = Self::thread();
        let pointer = Self::get(thread)?;
        Self::remove(thread);
        Some(pointer)
    }

    /// Takes the pointer, and reads the string: its length with the NUL, or a negative errno, of
    /// which -2 (ENOENT) says that none was kept.
    #[inline(always)]
    fn take_str(to: &mut [u8]) -> i64 {
        match Self::take() {
            Some(pointer) => Self::user_str(to, pointer),
            None => -2,
        }
    }
}
