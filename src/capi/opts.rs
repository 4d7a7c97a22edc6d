//! Reads `struct bpf_ksyscall_opts` as libbpf does (`OPTS_VALID` and `OPTS_GET` in libbpf's
//! src/libbpf_internal.h).

use core::mem::{offset_of, size_of};
use core::ptr;

use super::Failure;
use crate::attach::Options;

/// The kernel's name for `u64`, which libbpf.h uses.
#[allow(non_camel_case_types)]
type __u64 = u64;

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
#[cfg(target_pointer_width = "64")]
const _: () =
    assert!(size_of::<bpf_ksyscall_opts>() == 24 && END_OF_COOKIE == 16 && END_OF_RETPROBE == 17);
#[cfg(all(target_pointer_width = "32", not(target_arch = "x86")))]
const _: () =
    assert!(size_of::<bpf_ksyscall_opts>() == 24 && END_OF_COOKIE == 16 && END_OF_RETPROBE == 17);
// On i386, a 64-bit integer is aligned to 4 bytes.
#[cfg(target_arch = "x86")]
const _: () =
    assert!(size_of::<bpf_ksyscall_opts>() == 16 && END_OF_COOKIE == 12 && END_OF_RETPROBE == 13);

/// Reads the options. A field that `sz` does not cover keeps its default. The bytes that `sz`
/// covers beyond the known fields must be zero.
///
/// # Safety
/// `opts` must be NULL, or point to a readable field `sz` and to `sz` readable bytes.
pub(super) unsafe fn read(opts: *const bpf_ksyscall_opts) -> Result<Options, Failure> {
    // libbpf attaches even to functions that no call reaches. Do the same, so that a tool that
    // works with libbpf also works with this library.
    let mut options = Options { allow_unreached: true, ..Options::default() };
    if opts.is_null() {
        return Ok(options);
    }
    // Do not create a reference: the caller's struct may be shorter or longer than ours, or not
    // aligned.
    let bytes = opts.cast::<u8>();
    // SAFETY: `sz` is readable.
    let sz = unsafe { ptr::read_unaligned(bytes.cast::<usize>()) };
    if sz < size_of::<usize>() {
        return Err(Failure::OptsTooSmall);
    }
    // libbpf stores the number of extra bytes in an ssize_t, and treats a number that an ssize_t
    // cannot hold as 0.
    let end = isize::try_from(sz.wrapping_sub(END_OF_RETPROBE)).map_or(0, |_| sz);
    for offset in END_OF_RETPROBE..end {
        // SAFETY: `offset` is less than `sz`. The first nonzero byte ends the loop, as in libbpf.
        if unsafe { ptr::read(bytes.add(offset)) } != 0 {
            return Err(Failure::OptsUnknown);
        }
    }
    if sz >= END_OF_COOKIE {
        let cookie = offset_of!(bpf_ksyscall_opts, bpf_cookie);
        // SAFETY: `sz` covers the field.
        options.cookie = unsafe { ptr::read_unaligned(bytes.add(cookie).cast::<u64>()) };
    }
    if sz >= END_OF_RETPROBE {
        // Read the field as a byte: in Rust, a bool other than 0 or 1 is undefined behaviour.
        // SAFETY: `sz` covers the field.
        options.retprobe =
            unsafe { ptr::read(bytes.add(offset_of!(bpf_ksyscall_opts, retprobe))) } != 0;
    }
    Ok(options)
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
