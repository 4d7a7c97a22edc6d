//! What the C side remembers from one call to the next; what is learnt of the kernel
//! stands in `kernel.rs`.

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// What the process remembers of libbpf and of what was said.
///
/// It is what has been said already, so that it is said once, and of libbpf what can be
/// compared with the libbpf of the next call: the program may unload it, so no address of
/// its is called that was not asked for anew. Why an attach failed is not remembered.
pub(super) struct Remembered {
    /// That the state of the kernel in which it runs no probe was said, or is not so.
    state_is_known: AtomicBool,
    /// The functions which no call reaches and of which that was said, each by its hash.
    /// There is room for more than any architecture has.
    pub(super) unreached: [AtomicUsize; 256],
    /// The libbpf whose links are laid out as ours, by the address of a function.
    pub(super) libbpf_of_our_layout: AtomicUsize,
    /// The process of the thread that has libbpf's print callback out, or 0. Another's,
    /// copied by fork(2), does not put it back.
    pub(super) print_is_out_in: AtomicU32,
    /// That callback, the program's, as it was found last.
    pub(super) print: AtomicPtr<c_void>,
}

impl Remembered {
    /// Whether the state of the kernel is not known: this is asked once.
    pub(super) fn is_first_attach(&self) -> bool {
        !self.state_is_known.swap(true, Ordering::Relaxed)
    }
}

pub(super) static REMEMBERED: Remembered = Remembered {
    state_is_known: AtomicBool::new(false),
    unreached: [const { AtomicUsize::new(0) }; 256],
    libbpf_of_our_layout: AtomicUsize::new(0),
    print_is_out_in: AtomicU32::new(0),
    print: AtomicPtr::new(ptr::null_mut()),
};
