//! Calls perf_event_open(2), and the ioctl that attaches a program to a perf event.

use core::ffi::{CStr, c_int};

use errno::Errno;

use super::{Fd, call};

/// `struct perf_event_attr` up to `config2`, as in Linux 3.3 (`PERF_ATTR_SIZE_VER1` in
/// include/uapi/linux/perf_event.h).
#[repr(C)]
#[derive(Default)]
struct PerfEventAttr {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    config1: u64,
    config2: u64,
}

const _: () = assert!(size_of::<PerfEventAttr>() == 72);

/// Opens an event for all processes. A probe's program runs on every CPU, no matter which CPU the
/// event is opened on, but that CPU must be online.
///
/// # Safety
/// If `kind` is the type of the kprobe PMU, `config1` must be the address of a C string.
unsafe fn perf_event_open(attr: PerfEventAttr) -> Result<Fd, Errno> {
    const PERF_FLAG_FD_CLOEXEC: usize = 1 << 3;
    const ALL_PROCESSES: usize = usize::MAX; // -1
    const NO_GROUP: usize = usize::MAX; // -1
    let attr = PerfEventAttr { size: size_of::<PerfEventAttr>() as u32, ..attr };
    let attr: *const PerfEventAttr = &attr;
    let mut cpu: u32 = 0;
    loop {
        // SAFETY: the kernel reads only `attr`, whose size is in `size`, and the C string, which
        // the caller guarantees to be valid. Both live until the call returns.
        let opened = unsafe {
            call(
                libc::SYS_perf_event_open,
                attr as usize,
                ALL_PROCESSES,
                cpu as usize,
                NO_GROUP,
                PERF_FLAG_FD_CLOEXEC,
            )
        };
        match opened {
            Err(Errno(libc::ENODEV)) if cpu == 0 => {
                // SAFETY: the kernel writes a number to `cpu`, and writes nothing through NULL.
                unsafe { call(libc::SYS_getcpu, &raw mut cpu as usize, 0, 0, 0, 0) }?;
                if cpu == 0 {
                    return Err(Errno(libc::ENODEV));
                }
            }
            opened => return Fd(opened? as c_int).above_standard_streams(),
        }
    }
}

/// Opens an event of the kprobe PMU on `symbol` + `offset` bytes.
pub(crate) fn perf_event_open_kprobe(
    pmu: u32,
    config: u64,
    symbol: &CStr,
    offset: u64,
) -> Result<Fd, Errno> {
    let attr = PerfEventAttr {
        kind: pmu,
        config,
        config1: symbol.as_ptr() as usize as u64,
        config2: offset,
        ..PerfEventAttr::default()
    };
    // SAFETY: `symbol` is a C string.
    unsafe { perf_event_open(attr) }
}

/// Opens an event on the tracepoint whose `id` file in tracefs contains `id`.
pub(crate) fn perf_event_open_tracepoint(id: u64) -> Result<Fd, Errno> {
    const PERF_TYPE_TRACEPOINT: u32 = 2;
    let attr = PerfEventAttr { kind: PERF_TYPE_TRACEPOINT, config: id, ..PerfEventAttr::default() };
    // SAFETY: the event does not belong to the kprobe PMU.
    unsafe { perf_event_open(attr) }
}

/// Calls `PERF_EVENT_IOC_SET_BPF` (Linux 4.1).
pub(crate) fn perf_event_set_bpf(event_fd: c_int, program_fd: c_int) -> Result<(), Errno> {
    // _IOW('$', 8, __u32). On mips, POWER and sparc, a different bit stands for the write
    // direction.
    const WRITE: usize = if cfg!(any(
        target_arch = "mips",
        target_arch = "mips64",
        target_arch = "mips32r6",
        target_arch = "mips64r6",
        target_arch = "powerpc",
        target_arch = "powerpc64",
        target_arch = "sparc",
        target_arch = "sparc64"
    )) {
        4 << 29
    } else {
        1 << 30
    };
    const PERF_EVENT_IOC_SET_BPF: usize = WRITE | 4 << 16 | (b'$' as usize) << 8 | 8;
    let (event, program) = (event_fd as usize, program_fd as usize);
    // SAFETY: the arguments are integers; the kernel does not access our memory.
    unsafe { call(libc::SYS_ioctl, event, PERF_EVENT_IOC_SET_BPF, program, 0, 0) }.map(drop)
}
