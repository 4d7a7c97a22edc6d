//! Provides what a `no_std` library requires: an allocator based on malloc, and a panic handler.

use core::alloc::{GlobalAlloc, Layout};

/// Allocates with malloc(3). Vectors grow only through `try_reserve`, so running out of memory
/// causes an error instead of an abort.
struct Malloc;

// SAFETY: malloc returns memory that is aligned for every type used here, and `free` accepts it.
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
        // SAFETY: malloc allocated the memory.
        unsafe { libc::free(memory.cast()) };
    }
}

#[global_allocator]
static MALLOC: Malloc = Malloc;

/// Nothing here is meant to panic. If a bug causes a panic, the process aborts instead of
/// continuing with a partial attachment.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: abort() may be called at any time.
    unsafe { libc::abort() }
}
