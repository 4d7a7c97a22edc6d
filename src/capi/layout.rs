//! Checks, through libbpf's own accessors, whether libbpf's `struct bpf_link` begins like ours.

use core::ffi::{c_char, c_int, c_void};
use core::mem::transmute;
use core::ptr;

use super::bpf_link;
use super::libbpf::Handle;

pub(super) type Detach = unsafe extern "C" fn(*mut bpf_link) -> c_int;

/// Mirrors `struct bpf_link` in libbpf's src/libbpf.c.
#[repr(C)]
pub(super) struct Base {
    /// Detaches the link. `bpf_link__destroy` calls this function unless `disconnected` is set.
    pub(super) detach: Option<Detach>,
    /// Frees the object. If NULL, every release of libbpf calls free() instead.
    pub(super) dealloc: Option<unsafe extern "C" fn(*mut bpf_link)>,
    /// libbpf frees the path with free().
    pub(super) pin_path: *mut c_char,
    pub(super) fd: c_int,
    pub(super) disconnected: bool,
}

type Accessor<Result> = Option<unsafe extern "C" fn(*mut bpf_link) -> Result>;

/// Returns whether libbpf's struct has `fd`, `pin_path` and `disconnected` at the same offsets as
/// ours. `detach` and `dealloc` fill the space before these fields, so no other field can be there.
pub(super) fn is_ours(libbpf: &Handle) -> bool {
    // SAFETY: libbpf.h declares the functions with these types, and NULL becomes None.
    let (link_fd, pin_path, disconnect) = unsafe {
        (
            transmute::<*mut c_void, Accessor<c_int>>(libbpf.address(c"bpf_link__fd")),
            transmute::<*mut c_void, Accessor<*const c_char>>(
                libbpf.address(c"bpf_link__pin_path"),
            ),
            transmute::<*mut c_void, Accessor<()>>(libbpf.address(c"bpf_link__disconnect")),
        )
    };
    let (Some(link_fd), Some(pin_path), Some(disconnect)) = (link_fd, pin_path, disconnect) else {
        return false;
    };
    const FD: c_int = 0x5ca1_ab1e;
    /// A link followed by spare space, for a libbpf whose struct is longer.
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
