//! A Rust version of arguments.bpf.c that uses the ksyscall-ebpf crate. For each call in
//! calls.bpf.rs, including calls through socketcall and ipc, one program stores the call's six
//! arguments. Two more programs read a path. This version does not use aya-ebpf, which Debian does
//! not package.
#![no_std]

use core::ffi::c_void;
use core::mem::transmute;
use core::ptr::null;

use ksyscall_ebpf::{Call, Callers, Kept, Layout, Made, Memory, Native};

/// This layout must match `struct seen` in arguments.h.
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

/// A map definition in libbpf's BTF format, in which array lengths encode numbers.
#[repr(C)]
pub struct Map {
    r#type: *const [i32; 2],
    map_flags: *const [i32; 1024],
    max_entries: *const [i32; 1],
    key: *const u32,
    value: *const Arguments,
}

// SAFETY: nothing in this program reads a `Map`.
unsafe impl Sync for Map {}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".maps")]
#[allow(non_upper_case_globals)]
pub static state: Map =
    Map { r#type: null(), map_flags: null(), max_entries: null(), key: null(), value: null() };

/// Calls a helper by its number in include/uapi/linux/bpf.h.
macro_rules! helper {
    ($number:literal, fn($($argument:ty),*) -> $result:ty) => {
        transmute::<usize, unsafe extern "C" fn($($argument),*) -> $result>($number)
    };
}

macro_rules! read {
    ($number:literal, $word:ty, $address:expr) => {{
        let mut word: $word = 0;
        let size = size_of::<$word>() as u32;
        // SAFETY: bpf_probe_read_kernel and bpf_probe_read_user write nothing but the word.
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
        // SAFETY: bpf_get_current_task has no arguments; the map's value is valid or null.
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
/// Only a BPF program may call this function.
#[inline(always)]
unsafe fn arguments() -> *mut Arguments {
    let zero = 0_u32;
    // SAFETY: the argument is the map's address, which the loader replaces with a reference to the
    // map.
    unsafe { helper!(1, fn(*const Map, *const u32) -> *mut Arguments)(&raw const state, &zero) }
}

/// Returns a call's arguments. This is a trait because the compiler would not inline a closure.
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

/// Stores the arguments of the call with this index, if the test is making a call.
///
/// # Safety
/// `call` must have been created from a kprobe's context.
#[inline(always)]
unsafe fn store(index: usize, call: &Call<Native, Helpers>, of: impl HasArguments) {
    // SAFETY: the map's value is valid or null, `index` is within the value's array of calls, and
    // the caller passes a valid `call`.
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
        /// Only the kernel may run this function.
        #[unsafe(no_mangle)]
        #[unsafe(link_section = "kprobe")]
        pub unsafe extern "C" fn $program(context: *const c_void) -> u32 {
            let layout = const { Layout::of::<Native>($call) };
            // SAFETY: the kernel passes a valid context.
            unsafe {
                let call = Call::<Native, Helpers>::new(context, Callers::Asked);
                store($index, &call, (&call, layout));
            }
            0
        }
    };
}

/// Most architectures have no socketcall or ipc and do not use this macro.
#[allow(unused_macros)]
macro_rules! sub_call {
    ($index:literal, $program:ident, $call:literal) => {
        /// # Safety
        /// Only the kernel may run this function.
        #[unsafe(no_mangle)]
        #[unsafe(link_section = "kprobe")]
        pub unsafe extern "C" fn $program(context: *const c_void) -> u32 {
            let which = const { ksyscall_ebpf::SubCall::of::<Native>($call) };
            // SAFETY: the kernel passes a valid context.
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

/// The definition of a map that stores one pointer for each thread.
#[repr(C)]
pub struct PointerMap {
    r#type: *const [i32; 9],
    max_entries: *const [i32; 64],
    key: *const u64,
    value: *const u64,
}

// SAFETY: nothing in this program reads a `PointerMap`.
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
        // SAFETY: bpf_get_current_pid_tgid has no arguments.
        unsafe { helper!(14, fn() -> u64)() }
    }
    #[inline(always)]
    fn insert(thread: u64, pointer: u64) {
        let of_map = &raw const paths;
        // SAFETY: bpf_map_update_elem copies the key and the value.
        unsafe {
            helper!(2, fn(*const PointerMap, *const u64, *const u64, u64) -> i64)(
                of_map, &thread, &pointer, 0,
            );
        }
    }
    #[inline(always)]
    fn get(thread: u64) -> Option<u64> {
        let of_map = &raw const paths;
        // SAFETY: bpf_map_lookup_elem returns a valid value or null.
        unsafe {
            helper!(1, fn(*const PointerMap, *const u64) -> *const u64)(of_map, &thread)
                .as_ref()
                .copied()
        }
    }
    #[inline(always)]
    fn remove(thread: u64) {
        let of_map = &raw const paths;
        // SAFETY: bpf_map_delete_elem reads the key and does not modify it.
        unsafe { helper!(3, fn(*const PointerMap, *const u64) -> i64)(of_map, &thread) };
    }
    #[inline(always)]
    fn user_str(to: &mut [u8], address: u64) -> i64 {
        let (at, size) = (to.as_mut_ptr(), to.len() as u32);
        // SAFETY: bpf_probe_read_user_str writes at most `size` bytes.
        unsafe { helper!(114, fn(*mut u8, u32, u64) -> i64)(at, size, address) }
    }
}

/// Returns the map's value if the current thread is making the test's call, otherwise null.
///
/// # Safety
/// Only a BPF program may call this function.
#[inline(always)]
unsafe fn armed() -> *mut Arguments {
    // SAFETY: the map's value is valid or null.
    unsafe {
        let arguments = arguments();
        let is_armed = !arguments.is_null() && (*arguments).armed == Paths::thread() as u32;
        if is_armed { arguments } else { core::ptr::null_mut() }
    }
}

/// # Safety
/// Only the kernel may run this function.
#[unsafe(no_mangle)]
#[unsafe(link_section = "kprobe")]
pub unsafe extern "C" fn keep_path(context: *const c_void) -> u32 {
    let layout = const { Layout::of::<Native>("openat") };
    // SAFETY: the kernel passes a valid context; the map's value is valid or null.
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
/// Only the kernel may run this function.
#[unsafe(no_mangle)]
#[unsafe(link_section = "kprobe")]
pub unsafe extern "C" fn take_path(_: *const c_void) -> u32 {
    // SAFETY: the map's value is valid or null, and nothing else writes to it.
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
