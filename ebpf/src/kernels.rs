//! Where the kernels of each architecture have what, and how the arguments of their calls lie.
//! Made of include/ksyscall.bpf.h by `python3 -m testing.ebpf`.

use crate::{Kernel, sealed};

/// Where a kernel has what: places in bytes.
#[derive(Clone, Copy)]
pub struct Places {
    pub(crate) bits: u32,
    pub(crate) is_big_endian: bool,
    /// Whether a pair's first word has an even number.
    pub(crate) aligns: bool,
    /// In the program's context: the stack pointer, and what the function gets first.
    pub(crate) stack_pointer: Option<u64>,
    pub(crate) first: Option<u64>,
    /// The words, if the function gets them: in the context, or if -1 on its stack.
    pub(crate) direct: [i16; 16],
    pub(crate) on_stack: [i16; 16],
    /// The words in the caller's registers, and in those of a 32-bit caller.
    pub(crate) saved: [i16; 16],
    pub(crate) saved_compat: [i16; 16],
    /// The call's number there, or on the stack.
    pub(crate) number: Option<u64>,
    pub(crate) number_is_a_word: bool,
    pub(crate) number_mask: u32,
    pub(crate) number_on_stack: Option<u64>,
    /// Whether the task's thread says who calls; or else a word of the registers, shifted and
    /// masked, by a value.
    pub(crate) asks_thread: bool,
    pub(crate) mode: Option<(u64, u32, u64, u64)>,
    /// Of calls with an argument that is not one word: for 64-bit and for 32-bit callers.
    pub(crate) layouts: &'static [(&'static str, u64, u64)],
}

/// x86-64, with i386 callers.
#[derive(Clone, Copy, Debug)]
pub struct X86_64;

impl sealed::Sealed for X86_64 {}

impl Kernel for X86_64 {
    const PLACES: Places = Places {
        is_big_endian: false,
        bits: 64,
        aligns: false,
        stack_pointer: Some(152),
        direct: [112, 104, 96, 88, 72, 64, 56, 48, 40, 32, 24, 16, 8, 0, -8, -16],
        on_stack: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        first: Some(112),
        saved: [112, 104, 96, 56, 72, 64, 56, 48, 40, 32, 24, 16, 8, 0, -8, -16],
        saved_compat: [40, 88, 96, 104, 112, 32, 128, 136, 144, 152, 160, 168, 176, 184, 192, 200],
        number: Some(120),
        number_is_a_word: false,
        number_mask: 0xffffffff,
        number_on_stack: None,
        asks_thread: true,
        mode: None,
        layouts: &[
        ("arm_sync_file_range", 0xe70028, 0xe70028),
        ("clone", 0, 0x1200000),
        ("fadvise64", 0x8, 0x8),
        ("fadvise64_64", 0x28, 0x28),
        ("fallocate", 0xa0, 0xa0),
        ("fanotify_mark", 0x20, 0x20),
        ("ftruncate", 0x4, 0x4),
        ("ftruncate64", 0x8, 0x8),
        ("io_getevents", 0x14, 0x14),
        ("io_pgetevents", 0x14, 0x14),
        ("io_pgetevents_time64", 0x14, 0x14),
        ("io_submit", 0x4, 0x4),
        ("ipc", 0x400, 0x400),
        ("lookup_dcookie", 0x2, 0x2),
        ("lseek", 0x4, 0x4),
        ("mmap", 0, 0x100000000),
        ("mmap2", 0x400000000, 0),
        ("msgrcv", 0x40, 0x40),
        ("old_mmap", 0, 0x100000000),
        ("posix_fadvise", 0x8, 0x8),
        ("ppc_sync_file_range2", 0xe70028, 0xe70028),
        ("pread", 0x80, 0x80),
        ("pread64", 0x80, 0x80),
        ("preadv", 0xc0, 0xc0),
        ("preadv2", 0xc0, 0xc0),
        ("ptrace", 0x5, 0x5),
        ("pwrite", 0x80, 0x80),
        ("pwrite64", 0x80, 0x80),
        ("pwritev", 0xc0, 0xc0),
        ("pwritev2", 0xc0, 0xc0),
        ("readahead", 0x8, 0x8),
        ("select", 0, 0x100000000),
        ("sigsuspend", 0, 0x82000),
        ("sync_file_range", 0x28, 0x28),
        ("sync_file_range2", 0xe70028, 0xe70028),
        ("truncate", 0x4, 0x4),
        ("truncate64", 0x8, 0x8),
        ],
    };
}

/// i386.
#[derive(Clone, Copy, Debug)]
pub struct X86;

impl sealed::Sealed for X86 {}

impl Kernel for X86 {
    const PLACES: Places = Places {
        is_big_endian: false,
        bits: 32,
        aligns: false,
        stack_pointer: Some(60),
        direct: [-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1],
        on_stack: [4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64],
        first: Some(24),
        saved: [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60],
        saved_compat: [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60],
        number: Some(44),
        number_is_a_word: false,
        number_mask: 0xffffffff,
        number_on_stack: None,
        asks_thread: false,
        mode: None,
        layouts: &[
        ("arm_sync_file_range", 0xe70028, 0xe70028),
        ("clone", 0, 0x1200000),
        ("fadvise64", 0x8, 0x8),
        ("fadvise64_64", 0x28, 0x28),
        ("fallocate", 0xa0, 0xa0),
        ("fanotify_mark", 0x20, 0x20),
        ("ftruncate", 0x4, 0x4),
        ("ftruncate64", 0x8, 0x8),
        ("io_getevents", 0x14, 0x14),
        ("io_pgetevents", 0x14, 0x14),
        ("io_pgetevents_time64", 0x14, 0x14),
        ("io_submit", 0x4, 0x4),
        ("ipc", 0x400, 0x400),
        ("lookup_dcookie", 0x2, 0x2),
        ("lseek", 0x4, 0x4),
        ("mmap", 0, 0x100000000),
        ("mmap2", 0x400000000, 0),
        ("msgrcv", 0x40, 0x40),
        ("old_mmap", 0, 0x100000000),
        ("posix_fadvise", 0x8, 0x8),
        ("ppc_sync_file_range2", 0xe70028, 0xe70028),
        ("pread", 0x80, 0x80),
        ("pread64", 0x80, 0x80),
        ("preadv", 0xc0, 0xc0),
        ("preadv2", 0xc0, 0xc0),
        ("ptrace", 0x5, 0x5),
        ("pwrite", 0x80, 0x80),
        ("pwrite64", 0x80, 0x80),
        ("pwritev", 0xc0, 0xc0),
        ("pwritev2", 0xc0, 0xc0),
        ("readahead", 0x8, 0x8),
        ("select", 0, 0x100000000),
        ("sigsuspend", 0, 0x82000),
        ("sync_file_range", 0x28, 0x28),
        ("sync_file_range2", 0xe70028, 0xe70028),
        ("truncate", 0x4, 0x4),
        ("truncate64", 0x8, 0x8),
        ],
    };
}

/// arm64, with callers of 32-bit Arm.
#[derive(Clone, Copy, Debug)]
pub struct Aarch64;

impl sealed::Sealed for Aarch64 {}

impl Kernel for Aarch64 {
    const PLACES: Places = Places {
        is_big_endian: false,
        bits: 64,
        aligns: true,
        stack_pointer: Some(248),
        direct: [0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120],
        on_stack: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        first: Some(0),
        saved: [0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120],
        saved_compat: [0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120],
        number: Some(280),
        number_is_a_word: false,
        number_mask: 0xffffffff,
        number_on_stack: None,
        asks_thread: false,
        mode: Some((264, 4, 0x1, 0x1)),
        layouts: &[
        ("arm_fadvise64_64", 0xe70028, 0xa0),
        ("arm_sync_file_range", 0xe70028, 0xa0),
        ("clone", 0x1200000, 0x1200000),
        ("fadvise64", 0x28, 0xdc80a0),
        ("fadvise64_64", 0x28, 0xdc80a0),
        ("fallocate", 0xa0, 0xa0),
        ("fanotify_mark", 0x20, 0x20),
        ("ftruncate", 0x4, 0x4),
        ("ftruncate64", 0x8, 0x8),
        ("io_getevents", 0x14, 0x14),
        ("io_pgetevents", 0x14, 0x14),
        ("io_pgetevents_time64", 0x14, 0x14),
        ("io_submit", 0x4, 0x4),
        ("ipc", 0x400, 0x400),
        ("lookup_dcookie", 0x2, 0x2),
        ("lseek", 0x4, 0x4),
        ("mmap", 0, 0x200000000),
        ("mmap2", 0x400000000, 0),
        ("msgrcv", 0x40, 0x40),
        ("posix_fadvise", 0x28, 0xdc80a0),
        ("ppc_sync_file_range2", 0xe70028, 0xa0),
        ("pread", 0x80, 0x80),
        ("pread64", 0x80, 0x80),
        ("preadv", 0xc0, 0xc0),
        ("preadv2", 0xc0, 0xc0),
        ("ptrace", 0x5, 0x5),
        ("pwrite", 0x80, 0x80),
        ("pwrite64", 0x80, 0x80),
        ("pwritev", 0xc0, 0xc0),
        ("pwritev2", 0xc0, 0xc0),
        ("readahead", 0x8, 0x8),
        ("sigsuspend", 0, 0x82000),
        ("sync_file_range", 0x28, 0xdc80a0),
        ("sync_file_range2", 0xe70028, 0xa0),
        ("truncate", 0x4, 0x4),
        ("truncate64", 0x8, 0x8),
        ],
    };
}

/// 32-bit Arm.
#[derive(Clone, Copy, Debug)]
pub struct Arm;

impl sealed::Sealed for Arm {}

impl Kernel for Arm {
    const PLACES: Places = Places {
        is_big_endian: false,
        bits: 32,
        aligns: true,
        stack_pointer: Some(52),
        direct: [0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1],
        on_stack: [-16, -12, -8, -4, 0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44],
        first: None,
        saved: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        saved_compat: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        number: None,
        number_is_a_word: false,
        number_mask: 0xffffffff,
        number_on_stack: Some(36),
        asks_thread: false,
        mode: None,
        layouts: &[
        ("arm_fadvise64_64", 0xe70028, 0xa0),
        ("arm_sync_file_range", 0xa0, 0xa0),
        ("clone", 0x1200000, 0x1200000),
        ("fadvise64", 0x28, 0xdc80a0),
        ("fadvise64_64", 0x28, 0xdc80a0),
        ("fallocate", 0xa0, 0xa0),
        ("fanotify_mark", 0x20, 0x20),
        ("ftruncate", 0x4, 0x4),
        ("ftruncate64", 0x8, 0x8),
        ("io_getevents", 0x14, 0x14),
        ("io_pgetevents", 0x14, 0x14),
        ("io_pgetevents_time64", 0x14, 0x14),
        ("io_submit", 0x4, 0x4),
        ("ipc", 0x400, 0x400),
        ("lookup_dcookie", 0x2, 0x2),
        ("lseek", 0x4, 0x4),
        ("mmap", 0, 0x200000000),
        ("mmap2", 0x400000000, 0),
        ("msgrcv", 0x40, 0x40),
        ("posix_fadvise", 0x28, 0xdc80a0),
        ("ppc_sync_file_range2", 0xa0, 0xa0),
        ("pread", 0x80, 0x80),
        ("pread64", 0x80, 0x80),
        ("preadv", 0xc0, 0xc0),
        ("preadv2", 0xc0, 0xc0),
        ("ptrace", 0x5, 0x5),
        ("pwrite", 0x80, 0x80),
        ("pwrite64", 0x80, 0x80),
        ("pwritev", 0xc0, 0xc0),
        ("pwritev2", 0xc0, 0xc0),
        ("readahead", 0x8, 0x8),
        ("sigsuspend", 0, 0x82000),
        ("sync_file_range", 0xdc80a0, 0xdc80a0),
        ("sync_file_range2", 0xa0, 0xa0),
        ("truncate", 0x4, 0x4),
        ("truncate64", 0x8, 0x8),
        ],
    };
}

/// riscv64, with riscv32 callers.
#[derive(Clone, Copy, Debug)]
pub struct Riscv64;

impl sealed::Sealed for Riscv64 {}

impl Kernel for Riscv64 {
    const PLACES: Places = Places {
        is_big_endian: false,
        bits: 64,
        aligns: false,
        stack_pointer: Some(16),
        direct: [80, 88, 96, 104, 112, 120, 128, 136, 144, 152, 160, 168, 176, 184, 192, 200],
        on_stack: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        first: Some(80),
        saved: [280, 88, 96, 104, 112, 120, 128, 136, 144, 152, 160, 168, 176, 184, 192, 200],
        saved_compat: [280, 88, 96, 104, 112, 120, 128, 136, 144, 152, 160, 168, 176, 184, 192, 200],
        number: Some(136),
        number_is_a_word: false,
        number_mask: 0xffffffff,
        number_on_stack: None,
        asks_thread: false,
        mode: Some((256, 32, 0x3, 0x1)),
        layouts: &[
        ("arm_sync_file_range", 0xe70028, 0xe70028),
        ("clone", 0x1200000, 0x1200000),
        ("fadvise64", 0x28, 0x28),
        ("fadvise64_64", 0x28, 0x28),
        ("fallocate", 0xa0, 0xa0),
        ("fanotify_mark", 0x20, 0x20),
        ("ftruncate", 0x4, 0x4),
        ("ftruncate64", 0x8, 0x8),
        ("io_getevents", 0x14, 0x14),
        ("io_pgetevents", 0x14, 0x14),
        ("io_pgetevents_time64", 0x14, 0x14),
        ("io_submit", 0x4, 0x4),
        ("ipc", 0x400, 0x400),
        ("lookup_dcookie", 0x2, 0x2),
        ("lseek", 0x4, 0x4),
        ("mmap2", 0x400000000, 0),
        ("msgrcv", 0x40, 0x40),
        ("posix_fadvise", 0x28, 0x28),
        ("ppc_sync_file_range2", 0xe70028, 0xe70028),
        ("pread", 0x80, 0x80),
        ("pread64", 0x80, 0x80),
        ("preadv", 0xc0, 0xc0),
        ("preadv2", 0xc0, 0xc0),
        ("ptrace", 0x5, 0x5),
        ("pwrite", 0x80, 0x80),
        ("pwrite64", 0x80, 0x80),
        ("pwritev", 0xc0, 0xc0),
        ("pwritev2", 0xc0, 0xc0),
        ("readahead", 0x8, 0x8),
        ("sigsuspend", 0, 0x82000),
        ("sync_file_range", 0x28, 0x28),
        ("sync_file_range2", 0xe70028, 0xe70028),
        ("truncate", 0x4, 0x4),
        ("truncate64", 0x8, 0x8),
        ],
    };
}

/// s390x.
#[derive(Clone, Copy, Debug)]
pub struct S390x;

impl sealed::Sealed for S390x {}

impl Kernel for S390x {
    const PLACES: Places = Places {
        is_big_endian: true,
        bits: 64,
        aligns: false,
        stack_pointer: Some(144),
        direct: [40, 48, 56, 64, 72, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1],
        on_stack: [120, 128, 136, 144, 152, 160, 168, 176, 184, 192, 200, 208, 216, 224, 232, 240],
        first: Some(40),
        saved: [152, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128, 136, 144, 152, 160],
        saved_compat: [152, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128, 136, 144, 152, 160],
        number: Some(160),
        number_is_a_word: false,
        number_mask: 0xffff,
        number_on_stack: None,
        asks_thread: false,
        mode: None,
        layouts: &[
        ("arm_sync_file_range", 0xe70028, 0xe70028),
        ("clone", 0x1b000, 0x1b000),
        ("fadvise64", 0x8, 0x8),
        ("fadvise64_64", 0x28, 0x28),
        ("fallocate", 0xa0, 0xa0),
        ("fanotify_mark", 0x20, 0x20),
        ("ftruncate", 0x4, 0x4),
        ("ftruncate64", 0x8, 0x8),
        ("io_getevents", 0x14, 0x14),
        ("io_pgetevents", 0x14, 0x14),
        ("io_pgetevents_time64", 0x14, 0x14),
        ("io_submit", 0x4, 0x4),
        ("ipc", 0x400, 0x400),
        ("lookup_dcookie", 0x2, 0x2),
        ("lseek", 0x4, 0x4),
        ("mmap", 0x100000000, 0x100000000),
        ("mmap2", 0x500000000, 0x100000000),
        ("msgrcv", 0x40, 0x40),
        ("old_mmap", 0x100000000, 0x100000000),
        ("posix_fadvise", 0x8, 0x8),
        ("ppc_sync_file_range2", 0xe70028, 0xe70028),
        ("pread", 0x80, 0x80),
        ("pread64", 0x80, 0x80),
        ("preadv", 0xc0, 0xc0),
        ("preadv2", 0xc0, 0xc0),
        ("ptrace", 0x5, 0x5),
        ("pwrite", 0x80, 0x80),
        ("pwrite64", 0x80, 0x80),
        ("pwritev", 0xc0, 0xc0),
        ("pwritev2", 0xc0, 0xc0),
        ("readahead", 0x8, 0x8),
        ("sigsuspend", 0, 0x82000),
        ("sync_file_range", 0x28, 0x28),
        ("sync_file_range2", 0xe70028, 0xe70028),
        ("truncate", 0x4, 0x4),
        ("truncate64", 0x8, 0x8),
        ],
    };
}

/// 64-bit POWER, little-endian.
#[derive(Clone, Copy, Debug)]
pub struct Powerpc64;

impl sealed::Sealed for Powerpc64 {}

impl Kernel for Powerpc64 {
    const PLACES: Places = Places {
        is_big_endian: false,
        bits: 64,
        aligns: true,
        stack_pointer: Some(8),
        direct: [24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128, 136, 144],
        on_stack: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        first: Some(24),
        saved: [24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128, 136, 144],
        saved_compat: [24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128, 136, 144],
        number: Some(0),
        number_is_a_word: true,
        number_mask: 0xffffffff,
        number_on_stack: None,
        asks_thread: false,
        mode: None,
        layouts: &[
        ("arm_sync_file_range", 0xa0, 0xa0),
        ("clone", 0x1200000, 0x1200000),
        ("fadvise64", 0x8, 0x8),
        ("fadvise64_64", 0x28, 0xdc80a0),
        ("fallocate", 0xa0, 0xa0),
        ("fanotify_mark", 0x20, 0x20),
        ("ftruncate", 0x4, 0x4),
        ("ftruncate64", 0x8, 0x8),
        ("io_getevents", 0x14, 0x14),
        ("io_pgetevents", 0x14, 0x14),
        ("io_pgetevents_time64", 0x14, 0x14),
        ("io_submit", 0x4, 0x4),
        ("ipc", 0x400, 0x400),
        ("lookup_dcookie", 0x2, 0x2),
        ("lseek", 0x4, 0x4),
        ("mmap2", 0x400000000, 0),
        ("msgrcv", 0x40, 0x40),
        ("posix_fadvise", 0x8, 0x8),
        ("ppc_fadvise64_64", 0xe70028, 0xa0),
        ("ppc_sync_file_range2", 0xa0, 0xa0),
        ("pread", 0x80, 0x80),
        ("pread64", 0x80, 0x80),
        ("preadv", 0xc0, 0xc0),
        ("preadv2", 0xc0, 0xc0),
        ("ptrace", 0x5, 0x5),
        ("pwrite", 0x80, 0x80),
        ("pwrite64", 0x80, 0x80),
        ("pwritev", 0xc0, 0xc0),
        ("pwritev2", 0xc0, 0xc0),
        ("readahead", 0x8, 0x8),
        ("select", 0, 0x100000000),
        ("sync_file_range", 0xdc80a0, 0xdc80a0),
        ("sync_file_range2", 0xa0, 0xa0),
        ("truncate", 0x4, 0x4),
        ("truncate64", 0x8, 0x8),
        ],
    };
}

/// 32-bit POWER.
#[derive(Clone, Copy, Debug)]
pub struct Powerpc;

impl sealed::Sealed for Powerpc {}

impl Kernel for Powerpc {
    const PLACES: Places = Places {
        is_big_endian: true,
        bits: 32,
        aligns: true,
        stack_pointer: Some(4),
        direct: [12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 68, 72],
        on_stack: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        first: Some(12),
        saved: [12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 68, 72],
        saved_compat: [12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 68, 72],
        number: Some(0),
        number_is_a_word: true,
        number_mask: 0xffffffff,
        number_on_stack: None,
        asks_thread: false,
        mode: None,
        layouts: &[
        ("arm_sync_file_range", 0xa0, 0xa0),
        ("clone", 0x1200000, 0x1200000),
        ("fadvise64", 0x8, 0x8),
        ("fadvise64_64", 0x28, 0xdc80a0),
        ("fallocate", 0xa0, 0xa0),
        ("fanotify_mark", 0x20, 0x20),
        ("ftruncate", 0x4, 0x4),
        ("ftruncate64", 0x8, 0x8),
        ("io_getevents", 0x14, 0x14),
        ("io_pgetevents", 0x14, 0x14),
        ("io_pgetevents_time64", 0x14, 0x14),
        ("io_submit", 0x4, 0x4),
        ("ipc", 0x400, 0x400),
        ("lookup_dcookie", 0x2, 0x2),
        ("lseek", 0x4, 0x4),
        ("mmap2", 0x400000000, 0),
        ("msgrcv", 0x40, 0x40),
        ("posix_fadvise", 0x8, 0x8),
        ("ppc_fadvise64_64", 0xe70028, 0xa0),
        ("ppc_sync_file_range2", 0xa0, 0xa0),
        ("pread", 0x80, 0x80),
        ("pread64", 0x80, 0x80),
        ("preadv", 0xc0, 0xc0),
        ("preadv2", 0xc0, 0xc0),
        ("ptrace", 0x5, 0x5),
        ("pwrite", 0x80, 0x80),
        ("pwrite64", 0x80, 0x80),
        ("pwritev", 0xc0, 0xc0),
        ("pwritev2", 0xc0, 0xc0),
        ("readahead", 0x8, 0x8),
        ("select", 0, 0x100000000),
        ("sync_file_range", 0xdc80a0, 0xdc80a0),
        ("sync_file_range2", 0xa0, 0xa0),
        ("truncate", 0x4, 0x4),
        ("truncate64", 0x8, 0x8),
        ],
    };
}

/// mips64, little-endian.
#[derive(Clone, Copy, Debug)]
pub struct Mips64;

impl sealed::Sealed for Mips64 {}

impl Kernel for Mips64 {
    const PLACES: Places = Places {
        is_big_endian: false,
        bits: 64,
        aligns: true,
        stack_pointer: None,
        direct: [32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128, 136, 144, 152],
        on_stack: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        first: None,
        saved: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        saved_compat: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        number: None,
        number_is_a_word: false,
        number_mask: 0xffffffff,
        number_on_stack: None,
        asks_thread: false,
        mode: None,
        layouts: &[
        ("arm_sync_file_range", 0xe70028, 0xe70028),
        ("clone", 0x1200000, 0x1200000),
        ("fadvise64", 0x28, 0x28),
        ("fadvise64_64", 0x28, 0x28),
        ("fallocate", 0xa0, 0xa0),
        ("fanotify_mark", 0x20, 0x20),
        ("ftruncate", 0x4, 0x4),
        ("ftruncate64", 0x8, 0x8),
        ("io_getevents", 0x14, 0x14),
        ("io_pgetevents", 0x14, 0x14),
        ("io_pgetevents_time64", 0x14, 0x14),
        ("io_submit", 0x4, 0x4),
        ("ipc", 0x400, 0x400),
        ("lookup_dcookie", 0x2, 0x2),
        ("lseek", 0x4, 0x4),
        ("mmap2", 0x400000000, 0),
        ("msgrcv", 0x40, 0x40),
        ("posix_fadvise", 0x28, 0x28),
        ("ppc_sync_file_range2", 0xe70028, 0xe70028),
        ("pread", 0x80, 0x80),
        ("pread64", 0x80, 0x80),
        ("preadv", 0xc0, 0xc0),
        ("preadv2", 0xc0, 0xc0),
        ("ptrace", 0x5, 0x5),
        ("pwrite", 0x80, 0x80),
        ("pwrite64", 0x80, 0x80),
        ("pwritev", 0xc0, 0xc0),
        ("pwritev2", 0xc0, 0xc0),
        ("readahead", 0x8, 0x8),
        ("sync_file_range", 0x28, 0x28),
        ("sync_file_range2", 0xe70028, 0xe70028),
        ("truncate", 0x4, 0x4),
        ("truncate64", 0x8, 0x8),
        ],
    };
}

/// loongarch64.
#[derive(Clone, Copy, Debug)]
pub struct Loongarch64;

impl sealed::Sealed for Loongarch64 {}

impl Kernel for Loongarch64 {
    const PLACES: Places = Places {
        is_big_endian: false,
        bits: 64,
        aligns: false,
        stack_pointer: None,
        direct: [32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128, 136, 144, 152],
        on_stack: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        first: None,
        saved: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        saved_compat: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        number: None,
        number_is_a_word: false,
        number_mask: 0xffffffff,
        number_on_stack: None,
        asks_thread: false,
        mode: None,
        layouts: &[
        ("arm_sync_file_range", 0xe70028, 0xe70028),
        ("fadvise64", 0x8, 0x8),
        ("fadvise64_64", 0x28, 0x28),
        ("fallocate", 0xa0, 0xa0),
        ("fanotify_mark", 0x20, 0x20),
        ("ftruncate", 0x4, 0x4),
        ("ftruncate64", 0x8, 0x8),
        ("io_getevents", 0x14, 0x14),
        ("io_pgetevents", 0x14, 0x14),
        ("io_pgetevents_time64", 0x14, 0x14),
        ("io_submit", 0x4, 0x4),
        ("ipc", 0x400, 0x400),
        ("lookup_dcookie", 0x2, 0x2),
        ("lseek", 0x4, 0x4),
        ("mmap2", 0x400000000, 0),
        ("msgrcv", 0x40, 0x40),
        ("posix_fadvise", 0x8, 0x8),
        ("ppc_sync_file_range2", 0xe70028, 0xe70028),
        ("pread", 0x80, 0x80),
        ("pread64", 0x80, 0x80),
        ("preadv", 0xc0, 0xc0),
        ("preadv2", 0xc0, 0xc0),
        ("ptrace", 0x5, 0x5),
        ("pwrite", 0x80, 0x80),
        ("pwrite64", 0x80, 0x80),
        ("pwritev", 0xc0, 0xc0),
        ("pwritev2", 0xc0, 0xc0),
        ("readahead", 0x8, 0x8),
        ("sigsuspend", 0, 0x82000),
        ("sync_file_range", 0x28, 0x28),
        ("sync_file_range2", 0xe70028, 0xe70028),
        ("truncate", 0x4, 0x4),
        ("truncate64", 0x8, 0x8),
        ],
    };
}
