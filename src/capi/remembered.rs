//! What the C side remembers from one call to the next; what is learnt of the kernel
//! stands in `kernel.rs`.

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use crate::kernel::stubs::hash;
use crate::resolve::SyscallName;

/// What the process remembers of libbpf and of what was said.
///
/// It is what has been said already, so that it is said once, and of libbpf what can be
/// compared with the libbpf of the next call: the program may unload it, so no address of
/// its is called that was not asked for anew. Why an attach failed is not remembered.
pub(super) struct Remembered {
    /// Whether the process has attached: then a state in which the kernel runs no probe was reported.
    has_attached: AtomicBool,
    /// The calls whose functions no call reaches, each by its hash, of which that was reported. There
    /// is room for more than any architecture has.
    unreached: [AtomicUsize; 256],
    /// The libbpf whose links are laid out as ours, by the address of a function.
    pub(super) libbpf_of_our_layout: AtomicUsize,
    /// How far from `bpf_program__fd` the definition of a section lies that was found to be in
    /// the same file. Asking for that takes the dynamic linker thousands of instructions.
    pub(super) definition: AtomicUsize,
    /// The process of the thread that has libbpf's print callback out, or 0. Another's,
    /// copied by fork(2), does not put it back.
    pub(super) print_is_out_in: AtomicU32,
    /// That callback, the program's, as it was found last.
    pub(super) print: AtomicPtr<c_void>,
}

impl Remembered {
    /// Whether this is asked for the first time.
    pub(super) fn is_first_attach(&self) -> bool {
        !self.has_attached.swap(true, Ordering::Relaxed)
    }

    /// Whether that was asked before.
    pub(super) fn has_attached(&self) -> bool {
        self.has_attached.load(Ordering::Relaxed)
    }

    /// Whether [`Remembered::is_first_warning_of`] was asked of the call.
    pub(super) fn is_warned_of(&self, call: &SyscallName) -> bool {
        let sought = hash(call.as_bytes());
        self.unreached.iter().any(|hash| hash.load(Ordering::Relaxed) == sought)
    }

    /// Whether this is asked of the call for the first time.
    pub(super) fn is_first_warning_of(&self, call: &SyscallName) -> bool {
        let sought = hash(call.as_bytes());
        for place in &self.unreached {
            match place.compare_exchange(0, sought, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(hash) if hash == sought => return false,
                Err(_) => {}
            }
        }
        false
    }
}

pub(super) static REMEMBERED: Remembered = Remembered {
    has_attached: AtomicBool::new(false),
    unreached: [const { AtomicUsize::new(0) }; 256],
    libbpf_of_our_layout: AtomicUsize::new(0),
    definition: AtomicUsize::new(0),
    print_is_out_in: AtomicU32::new(0),
    print: AtomicPtr::new(ptr::null_mut()),
};
