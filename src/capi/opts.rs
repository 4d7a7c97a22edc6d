//! Reads `struct bpf_ksyscall_opts` as libbpf does (`OPTS_VALID` and `OPTS_GET` in libbpf's
//! src/libbpf_internal.h): a field is read if `sz` covers it, and the bytes that `sz` covers beyond
//! the known fields must be zero.

use core::mem::{offset_of, size_of};
use core::ptr;

use super::Failure;
use super::header::__u64;
use crate::attach::Options;

/// How to attach. Zero-initialise the struct and set `sz` to its size, or use libbpf's
/// `LIBBPF_OPTS`.
#[allow(non_camel_case_types)]
#[cfg(not(libbpf_h_has_ksyscall))]
#[repr(C)]
pub struct bpf_ksyscall_opts {
    /// Size of this struct, for forward and backward compatibility.
    pub sz: usize,
    /// The value that `bpf_get_attach_cookie()` returns in the program. Requires Linux 5.15.
    pub bpf_cookie: __u64,
    /// Run the program at the call's return instead of its entry.
    pub retprobe: bool,
}

const END_OF_COOKIE: usize = offset_of!(bpf_ksyscall_opts, bpf_cookie) + size_of::<__u64>();
const END_OF_RETPROBE: usize = offset_of!(bpf_ksyscall_opts, retprobe) + size_of::<bool>();

// The layout of libbpf 1.0 to 1.7.
#[cfg(not(target_arch = "x86"))]
const _: () =
    assert!(size_of::<bpf_ksyscall_opts>() == 24 && END_OF_COOKIE == 16 && END_OF_RETPROBE == 17);
// On i386, a 64-bit integer is aligned to 4 bytes.
#[cfg(target_arch = "x86")]
const _: () =
    assert!(size_of::<bpf_ksyscall_opts>() == 16 && END_OF_COOKIE == 12 && END_OF_RETPROBE == 13);

/// A caller's struct of options, which may be shorter or longer than ours, or not aligned.
pub(super) struct Given {
    start: *const u8,
    sz: usize,
}

impl Given {
    /// Checks the struct's size. The bytes that `sz` covers from `end`, where the known fields end,
    /// must be zero.
    ///
    /// # Safety
    /// `start` must be NULL, or point to a readable field `sz` and to `sz` readable bytes.
    pub(super) unsafe fn check(start: *const u8, end: usize) -> Result<Self, Failure> {
        if start.is_null() {
            return Ok(Self { start, sz: 0 });
        }
        // SAFETY: `sz` is readable.
        let sz = unsafe { ptr::read_unaligned(start.cast::<usize>()) };
        if sz < size_of::<usize>() {
            return Err(Failure::OptsTooSmall);
        }
        // libbpf stores the number of extra bytes in an ssize_t, and treats a number that an
        // ssize_t cannot hold as 0.
        let extra = isize::try_from(sz.wrapping_sub(end)).unwrap_or(0);
        for offset in 0..extra as usize {
            // SAFETY: `sz` covers the byte. The first nonzero byte ends the loop, as in libbpf.
            if unsafe { ptr::read(start.add(end + offset)) } != 0 {
                return Err(Failure::OptsUnknown);
            }
        }
        Ok(Self { start, sz })
    }

    /// Reads the field at `offset`, or returns None if `sz` does not cover all of it.
    ///
    /// # Safety
    /// The struct must still be readable, and the field's bytes must be valid for `T`.
    pub(super) unsafe fn field<T: Copy>(&self, offset: usize) -> Option<T> {
        let is_covered = self.sz >= offset + size_of::<T>();
        // SAFETY: `sz` covers the field, and the caller guarantees the rest.
        is_covered.then(|| unsafe { self.start.add(offset).cast::<T>().read_unaligned() })
    }

    /// Reads the bool at `offset`, or returns false if `sz` does not cover it.
    ///
    /// # Safety
    /// The struct must still be readable.
    pub(super) unsafe fn flag(&self, offset: usize) -> bool {
        // Read a byte: in Rust, a bool other than 0 or 1 is undefined behaviour.
        // SAFETY: guaranteed by the caller.
        unsafe { self.field::<u8>(offset) }.is_some_and(|byte| byte != 0)
    }
}

/// Reads the options. A field that `sz` does not cover keeps its default.
///
/// # Safety
/// `opts` must be NULL, or point to a readable field `sz` and to `sz` readable bytes.
pub(super) unsafe fn read(opts: *const bpf_ksyscall_opts) -> Result<Options, Failure> {
    // SAFETY: guaranteed by the caller; each field is read as its type, or a bool as a byte.
    unsafe {
        let given = Given::check(opts.cast::<u8>(), END_OF_RETPROBE)?;
        Ok(Options {
            cookie: given.field(offset_of!(bpf_ksyscall_opts, bpf_cookie)).unwrap_or(0),
            retprobe: given.flag(offset_of!(bpf_ksyscall_opts, retprobe)),
            // libbpf attaches even to functions that no call reaches. Do the same, so that a tool
            // that works with libbpf also works with this library.
            allow_unreached: true,
            ..Options::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads options from a buffer of exactly `sz` bytes (but always large enough for the field
    /// `sz`). The allocation ends after these bytes, so that Miri and sanitizers report a read
    /// beyond them.
    fn read_image(sz: usize, set: &[(usize, u8)]) -> Result<Options, Failure> {
        let mut image = vec![0_u8; sz.max(size_of::<usize>())].into_boxed_slice();
        image[..size_of::<usize>()].copy_from_slice(&sz.to_ne_bytes());
        for (offset, value) in set {
            image[*offset] = *value;
        }
        // SAFETY: `image` is readable for `sz` bytes.
        unsafe { read(image.as_ptr().cast()) }
    }

    #[test]
    fn null_is_the_defaults() {
        // SAFETY: NULL is allowed.
        let options = unsafe { read(ptr::null()) }.unwrap();
        assert_eq!((options.cookie, options.retprobe), (0, false));
    }

    #[test]
    fn a_size_less_than_its_own_is_refused() {
        for sz in 0..size_of::<usize>() {
            assert!(matches!(read_image(sz, &[]), Err(Failure::OptsTooSmall)), "{sz}");
        }
    }

    #[test]
    fn a_field_counts_only_if_the_size_covers_all_of_it() {
        let cookie = offset_of!(bpf_ksyscall_opts, bpf_cookie);
        for sz in size_of::<usize>()..64 {
            let set: Vec<_> = [(cookie, 7), (END_OF_RETPROBE - 1, 1)]
                .into_iter()
                .filter(|(offset, _)| *offset < sz)
                .collect();
            let options = read_image(sz, &set).unwrap();
            assert_eq!(options.cookie != 0, sz >= END_OF_COOKIE, "{sz}");
            assert_eq!(options.retprobe, sz >= END_OF_RETPROBE, "{sz}");
        }
    }

    #[test]
    fn any_set_byte_after_the_fields_is_refused() {
        for sz in END_OF_RETPROBE..128 {
            for offset in END_OF_RETPROBE..sz {
                let read = read_image(sz, &[(offset, 0x80)]);
                assert!(matches!(read, Err(Failure::OptsUnknown)), "{sz} {offset}");
            }
        }
    }

    #[test]
    fn a_size_with_a_negative_rest_has_no_bytes_after_the_fields() {
        let mut image = [0xff_u8; 32];
        for sz in [usize::MAX, isize::MAX as usize + 1 + END_OF_RETPROBE] {
            image[..size_of::<usize>()].copy_from_slice(&sz.to_ne_bytes());
            // SAFETY: for these sizes only the known fields are read.
            let options = unsafe { read(image.as_ptr().cast()) }.unwrap();
            assert!(options.cookie == u64::MAX && options.retprobe);
        }
    }

    #[test]
    fn every_value_except_zero_requests_a_return_probe() {
        for value in 0..=u8::MAX {
            let read = read_image(END_OF_RETPROBE, &[(END_OF_RETPROBE - 1, value)]).unwrap();
            assert_eq!(read.retprobe, value != 0);
        }
    }
}
