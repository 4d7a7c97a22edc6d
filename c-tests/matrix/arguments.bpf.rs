//! What arguments.bpf.c is, in Rust, by the crate ksyscall-ebpf: a program for each call of
//! calls.bpf.rs, which stores the six arguments that it gets; likewise for calls through socketcall
//! and ipc; and two that read a path. Without aya-ebpf, which Debian does not have.
#![no_std]

use core::ffi::c_void;
use core::mem::transmute;
use core::ptr::null;

use ksyscall_ebpf::{Call, Callers, Kept, Layout, Made, Memory, Native};

/// Of arguments.h.
#[repr(C)]
pub struct Seen {
    hits: u32,
    number: i32,
    is_compat: u32,
    padding: u32,
    arguments: [u64; 6],
}

#[repr(C)]
pub struct Arguments {
    armed: u32,
    thread_status: u32,
    calls: [Seen; 1024],
    at_entry: i64,
    at_return: i64,
    path: [u8; 32],
}

/// As libbpf has it of a map, in BTF: numbers are lengths of arrays.
#[repr(C)]
pub struct Map {
    r#type: *const [i32; 2],
    map_flags: *const [i32; 1024],
    max_entries: *const [i32; 1],
    key: *const u32,
    value: *const Arguments,
}

// SAFETY: nothing here reads it.
unsafe impl Sync for Map {}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".maps")]
#[allow(non_upper_case_globals)]
pub static state: Map =
    Map { r#type: null(), map_flags: null(), max_entries: null(), key: null(), value: null() };

/// The helpers, by their numbers in include/uapi/linux/bpf.h.
macro_rules! helper {
    ($number:literal, fn($($argument:ty),*) -> $result:ty) => {
        transmute::<usize, unsafe extern "C" fn($($argument),*) -> $result>($number)
    };
}

macro_rules! read {
    ($number:literal, $word:ty, $address:expr) => {{
        let mut word: $word = 0;
        let size = size_of::<$word>() as u32;
        // SAFETY: bpf_probe_read_kernel and bpf_probe_read_user write but the word.
        unsafe { helper!($number, fn(*mut $word, u32, u64) -> i64)(&mut word, size, $address) };
        word
    }};
}

struct Helpers;

impl Memory for Helpers {
    #[inline(always)]
    fn kernel_u64(address: u64) -> u64 {
        read!(113, u64, address)
    }
    #[inline(always)]
    fn kernel_u32(address: u64) -> u32 {
        read!(113, u32, address)
    }
    #[inline(always)]
    fn user_u64(address: u64) -> u64 {
        read!(112, u64, address)
    }
    #[inline(always)]
    fn user_u32(address: u64) -> u32 {
        read!(112, u32, address)
    }
    #[inline(always)]
    fn thread_status() -> u32 {
        // SAFETY: bpf_get_current_task takes nothing; the map's value is there, or null.
        unsafe {
            let task = helper!(35, fn() -> u64)();
            match arguments() {
                arguments if arguments.is_null() => 0,
                arguments => Self::kernel_u32(task + u64::from((*arguments).thread_status)),
            }
        }
    }
}

/// # Safety
/// In a BPF program alone.
#[inline(always)]
unsafe fn arguments() -> *mut Arguments {
    let zero = 0_u32;
    // SAFETY: bpf_map_lookup_elem takes the map's address, of which the loader makes the map.
    unsafe { helper!(1, fn(*const Map, *const u32) -> *mut Arguments)(&raw const state, &zero) }
}

/// A closure would not be inlined.
trait HasArguments {
    fn argument(&self, n: usize) -> u64;
}

impl HasArguments for (&Call<Native, Helpers>, Layout) {
    #[inline(always)]
    fn argument(&self, n: usize) -> u64 {
        self.0.argument(self.1, n)
    }
}

impl HasArguments for Made<'_, Native, Helpers> {
    #[inline(always)]
    fn argument(&self, n: usize) -> u64 {
        Made::argument(self, n)
    }
}

/// Stores what the call of this index gets, if it is the one that is made.
///
/// # Safety
/// `context` is a kprobe's.
#[inline(always)]
unsafe fn store(index: usize, call: &Call<Native, Helpers>, of: impl HasArguments) {
    // SAFETY: the map's value is there, or null; it has as many calls; and the caller's promise.
    unsafe {
        let arguments = arguments();
        if arguments.is_null() {
            return;
        }
        let thread = helper!(14, fn() -> u64)() as u32;
        let seen = (&raw mut (*arguments).calls).cast::<Seen>().add(index);
        if (*arguments).armed != thread {
            return;
        }
        (*seen).hits += 1;
        if (*seen).hits != 1 {
            return;
        }
        (*seen).arguments[0] = of.argument(1);
        (*seen).arguments[1] = of.argument(2);
        (*seen).arguments[2] = of.argument(3);
        (*seen).arguments[3] = of.argument(4);
        (*seen).arguments[4] = of.argument(5);
        (*seen).arguments[5] = of.argument(6);
        (*seen).number = call.number().unwrap_or(-1);
        (*seen).is_compat = call.is_compat().into();
    }
}

macro_rules! call {
    ($index:literal, $program:ident, $call:literal) => {
        /// # Safety
        /// The kernel runs it.
        #[unsafe(no_mangle)]
        #[unsafe(link_section = "kprobe")]
        pub unsafe extern "C" fn $program(context: *const c_void) -> u32 {
            let layout = const { Layout::of::<Native>($call) };
            // SAFETY: it is what the kernel gives.
            unsafe {
                let call = Call::<Native, Helpers>::new(context, Callers::Asked);
                store($index, &call, (&call, layout));
            }
            0
        }
    };
}

/// Most architectures have no such calls.
#[allow(unused_macros)]
macro_rules! sub_call {
    ($index:literal, $program:ident, $call:literal) => {
        /// # Safety
        /// The kernel runs it.
        #[unsafe(no_mangle)]
        #[unsafe(link_section = "kprobe")]
        pub unsafe extern "C" fn $program(context: *const c_void) -> u32 {
            let which = const { ksyscall_ebpf::SubCall::of::<Native>($call) };
            // SAFETY: it is what the kernel gives.
            unsafe {
                let call = Call::<Native, Helpers>::new(context, Callers::Asked);
                if let Some(made) = call.sub_call(which) {
                    store($index, &call, made);
                }
            }
            0
        }
    };
}

/// Pointers of threads, as libbpf has it of a map.
#[repr(C)]
pub struct PointerMap {
    r#type: *const [i32; 9],
    max_entries: *const [i32; 64],
    key: *const u64,
    value: *const u64,
}

// SAFETY: nothing here reads it.
unsafe impl Sync for PointerMap {}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".maps")]
#[allow(non_upper_case_globals)]
pub static paths: PointerMap =
    PointerMap { r#type: null(), max_entries: null(), key: null(), value: null() };

struct Paths;

impl Kept for Paths {
    #[inline(always)]
    fn thread() -> u64 {
        // SAFETY: bpf_get_current_pid_tgid takes nothing.
        unsafe { helper!(14, fn() -> u64)() }
    }
    #[inline(always)]
    fn insert(thread: u64, pointer: u64) {
        let of_map = &raw const paths;
        // SAFETY: bpf_map_update_elem copies key and value.
        unsafe {
            helper!(2, fn(*const PointerMap, *const u64, *const u64, u64) -> i64)(
                of_map, &thread, &pointer, 0,
            );
        }
    }
    #[inline(always)]
    fn get(thread: u64) -> Option<u64> {
        let of_map = &raw const paths;
        // SAFETY: bpf_map_lookup_elem gives a value that is there, or null.
        unsafe {
            helper!(1, fn(*const PointerMap, *const u64) -> *const u64)(of_map, &thread)
                .as_ref()
                .copied()
        }
    }
    #[inline(always)]
    fn remove(thread: u64) {
        let of_map = &raw const paths;
        // SAFETY: bpf_map_delete_elem reads the key.
        unsafe { helper!(3, fn(*const PointerMap, *const u64) -> i64)(of_map, &thread) };
    }
    #[inline(always)]
    fn user_str(to: &mut [u8], address: u64) -> i64 {
        let (at, size) = (to.as_mut_ptr(), to.len() as u32);
        // SAFETY: bpf_probe_read_user_str writes no more than that.
        unsafe { helper!(114, fn(*mut u8, u32, u64) -> i64)(at, size, address) }
    }
}

/// The map's value, if the call is the one that is made, or null.
///
/// # Safety
/// In a BPF program alone.
#[inline(always)]
unsafe fn armed() -> *mut Arguments {
    // SAFETY: the map's value is there, or null.
    unsafe {
        let arguments = arguments();
        let is_armed = !arguments.is_null() && (*arguments).armed == Paths::thread() as u32;
        if is_armed { arguments } else { core::ptr::null_mut() }
    }
}

/// # Safety
/// The kernel runs it.
#[unsafe(no_mangle)]
#[unsafe(link_section = "kprobe")]
pub unsafe extern "C" fn keep_path(context: *const c_void) -> u32 {
    let layout = const { Layout::of::<Native>("openat") };
    // SAFETY: it is what the kernel gives; the map's value is there, or null.
    unsafe {
        let arguments = armed();
        if arguments.is_null() {
            return 0;
        }
        let path = Call::<Native, Helpers>::new(context, Callers::Asked).argument(layout, 2);
        let mut start = [0; 8];
        (*arguments).at_entry = Paths::user_str(&mut start, path);
        Paths::keep(path);
    }
    0
}

/// # Safety
/// The kernel runs it.
#[unsafe(no_mangle)]
#[unsafe(link_section = "kprobe")]
pub unsafe extern "C" fn take_path(_: *const c_void) -> u32 {
    // SAFETY: the map's value is there, or null, and nobody else writes to it.
    unsafe {
        let arguments = armed();
        if !arguments.is_null() {
            (*arguments).at_return = Paths::take_str(&mut (*arguments).path);
        }
    }
    0
}

include!(env!("CALLS"));

#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
pub static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
