//! Checks properties of the C API that must hold for every input; see the crate's `fuzzing.rs`.

use core::ffi::c_void;

use super::warning::Shown;
use super::{Failure, bpf_ksyscall_opts, opts};

/// Memory that ends at an inaccessible page.
struct Guarded(*mut u8);

impl Guarded {
    /// A multiple of every page size.
    const LEN: usize = 1 << 16;

    fn new() -> Self {
        // SAFETY: this creates a new mapping, and makes only its second half inaccessible.
        let start = unsafe {
            let start = libc::mmap(
                core::ptr::null_mut(),
                2 * Self::LEN,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert!(start != libc::MAP_FAILED);
            let after = start.cast::<u8>().add(Self::LEN).cast::<c_void>();
            assert_eq!(libc::mprotect(after, Self::LEN, libc::PROT_NONE), 0);
            start
        };
        Self(start.cast())
    }

    /// Copies `bytes` to the end of the readable memory.
    fn copy(&mut self, bytes: &[u8]) -> *const u8 {
        assert!(bytes.len() <= Self::LEN);
        // SAFETY: the copy lies in the first half, which only this struct uses.
        unsafe {
            let place = self.0.add(Self::LEN - bytes.len());
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
            place
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours.
        unsafe { libc::munmap(self.0.cast(), 2 * Self::LEN) };
    }
}

/// Checks that options are read according to libbpf's rule. `image` is a struct whose first eight
/// bytes are its size. Sizes up to 4096 are used unchanged. Sizes that leave more than `isize::MAX`
/// bytes after the known fields are also used unchanged, because the bytes after the fields are not
/// read. All other sizes are reduced. The memory after the struct is inaccessible.
pub fn options(image: &[u8]) {
    let mut size = [0; 8];
    let given = image.len().min(8);
    size[..given].copy_from_slice(&image[..given]);
    let mut sz = u64::from_le_bytes(size) as usize;
    let (cookie_at, retprobe_at) = if cfg!(target_arch = "x86") { (4, 12) } else { (8, 16) };
    let has_fields_only = sz > isize::MAX as usize + retprobe_at + 1;
    if !has_fields_only {
        sz %= 4097;
    }
    let readable = if has_fields_only { retprobe_at + 1 } else { sz };

    let mut bytes = vec![0; readable.max(size_of::<usize>())];
    let copied = bytes.len().min(image.len());
    bytes[..copied].copy_from_slice(&image[..copied]);
    bytes[..size_of::<usize>()].copy_from_slice(&sz.to_ne_bytes());
    let mut memory = Guarded::new();
    // SAFETY: the copy is readable for `sz` bytes, or to the end of the last field.
    let read = unsafe { opts::read(memory.copy(&bytes).cast::<bpf_ksyscall_opts>()) };

    let bytes = &bytes[..readable];
    if sz < size_of::<usize>() {
        assert!(matches!(read, Err(Failure::OptsTooSmall)), "{read:?}");
    } else if bytes.iter().skip(retprobe_at + 1).any(|byte| *byte != 0) {
        assert!(matches!(read, Err(Failure::OptsUnknown)), "{read:?}");
    } else {
        let read = read.unwrap();
        let cookie = bytes.get(cookie_at..cookie_at + 8);
        let cookie = cookie.map_or(0, |cookie| u64::from_ne_bytes(cookie.try_into().unwrap()));
        assert_eq!(read.cookie, cookie);
        assert_eq!(read.retprobe, bytes.get(retprobe_at).is_some_and(|byte| *byte != 0));
    }
}

/// Checks how a message shows a name that comes from outside the library.
pub fn warning(name: &[u8]) {
    let shown = Shown(name).to_string();
    let printable = |byte: &u8| if (32..127).contains(byte) { char::from(*byte) } else { '?' };
    let mut expected: String = name.iter().take(69).map(printable).collect();
    if name.len() > 69 {
        expected += "...";
    }
    assert_eq!(shown.as_bytes(), expected.as_bytes());
}
