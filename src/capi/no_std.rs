//! Provides what the C library lacks without Rust's standard library: an allocator, which is C's,
//! and what a panic does.

use core::alloc::{GlobalAlloc, Layout};

/// Every vector is made by `try_reserve`, so that having no memory is an error.
struct Malloc;

// SAFETY: malloc's memory is aligned for every type that is used here, and `free` takes it.
unsafe impl GlobalAlloc for Malloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        const MALLOC_ALIGNS_TO: usize = 2 * size_of::<usize>();
        if layout.align() > MALLOC_ALIGNS_TO {
            return core::ptr::null_mut();
        }
        // SAFETY: malloc may be called with any size.
        unsafe { libc::malloc(layout.size()) }.cast()
    }

    unsafe fn dealloc(&self, memory: *mut u8, _: Layout) {
        // SAFETY: it is from malloc.
        unsafe { libc::free(memory.cast()) };
    }
}

#[global_allocator]
static MALLOC: Malloc = Malloc;

/// Nothing here is meant to panic; if a bug does, the program stops at once instead of running on
/// with half an attachment.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: it takes no arguments and does not return.
    unsafe { libc::abort() }
}
