//! Tells whether a libbpf's `struct bpf_link` begins as ours, by its own accessors.

use core::ffi::{c_char, c_int, c_void};
use core::mem::transmute;
use core::ptr;

use super::bpf_link;

pub(super) type Detach = unsafe extern "C" fn(*mut bpf_link) -> c_int;

/// libbpf's `struct bpf_link` (its src/libbpf.c).
#[repr(C)]
pub(super) struct Base {
    /// Ends the attachment; called by `bpf_link__destroy` unless `disconnected`.
    pub(super) detach: Option<Detach>,
    /// Frees the object. Without one every release calls free() for it.
    pub(super) dealloc: Option<unsafe extern "C" fn(*mut bpf_link)>,
    /// Freed with free().
    pub(super) pin_path: *mut c_char,
    pub(super) fd: c_int,
    pub(super) disconnected: bool,
}

type Accessor<Result> = Option<unsafe extern "C" fn(*mut bpf_link) -> Result>;

/// Whether a libbpf finds fd, pin path and the disconnected mark of a link where they are in ours.
/// `detach` and `dealloc` stand before them, and leave no room for anything else.
///
/// # Safety
/// They are libbpf's functions of these names, or NULL.
#[allow(non_snake_case, reason = "libbpf's own names")]
pub(super) unsafe fn is_ours(
    bpf_link__fd: *mut c_void,
    bpf_link__pin_path: *mut c_void,
    bpf_link__disconnect: *mut c_void,
) -> bool {
    // SAFETY: libbpf.h declares the functions so, and NULL is None.
    let (link_fd, pin_path, disconnect) = unsafe {
        (
            transmute::<*mut c_void, Accessor<c_int>>(bpf_link__fd),
            transmute::<*mut c_void, Accessor<*const c_char>>(bpf_link__pin_path),
            transmute::<*mut c_void, Accessor<()>>(bpf_link__disconnect),
        )
    };
    let (Some(link_fd), Some(pin_path), Some(disconnect)) = (link_fd, pin_path, disconnect) else {
        return false;
    };
    const FD: c_int = 0x5ca1_ab1e;
    /// Room after the link, for a libbpf whose own is longer.
    #[repr(C)]
    struct Probe {
        base: Base,
        room: [usize; 32],
    }
    let mut path: c_char = 0;
    let mut probe = Probe {
        base: Base {
            detach: None,
            dealloc: None,
            pin_path: &raw mut path,
            fd: FD,
            disconnected: false,
        },
        room: [0; 32],
    };
    let link = (&raw mut probe).cast::<bpf_link>();
    // SAFETY: the functions read or write one field of the link, which lies in `probe`.
    let same = unsafe {
        disconnect(link);
        link_fd(link) == FD && ptr::eq(pin_path(link), &raw const path)
    };
    same && probe.base.disconnected && probe.room == [0; 32]
}
