use aya_ebpf::{
    EbpfContext, bpf_printk, helpers::bpf_get_current_pid_tgid,
    helpers::bpf_probe_read_user_str_bytes, macros::kprobe, macros::kretprobe, macros::map,
    maps::LruHashMap, programs::ProbeContext, programs::RetProbeContext,
};
use ksyscall_ebpf::{Call, Callers, Kept, Layout, Native};
# use ksyscall_ebpf::Memory;
# struct Kernel;
# impl Memory for Kernel {
#     fn kernel_u64(_: u64) -> u64 { 0 }
#     fn kernel_u32(_: u64) -> u32 { 0 }
#     fn user_u64(_: u64) -> u64 { 0 }
#     fn user_u32(_: u64) -> u32 { 0 }
# }

#[map]
static PATHS: LruHashMap<u64, u64> = LruHashMap::with_max_entries(10240, 0);

struct Paths;

impl Kept for Paths {
    #[inline(always)]
    fn thread() -> u64 {
        bpf_get_current_pid_tgid()
    }
    #[inline(always)]
    fn insert(thread: u64, pointer: u64) {
        let _ = PATHS.insert(&thread, &pointer, 0);
    }
    #[inline(always)]
    fn get(thread: u64) -> Option<u64> {
        // SAFETY: the value is copied, and no other thread uses this key.
        unsafe { PATHS.get(&thread) }.copied()
    }
    #[inline(always)]
    fn remove(thread: u64) {
        let _ = PATHS.remove(&thread);
    }
    #[inline(always)]
    fn user_str(to: &mut [u8], address: u64) -> i64 {
        // SAFETY: the helper returns an error if it cannot read the address.
        let read = unsafe { bpf_probe_read_user_str_bytes(address as *const u8, to) };
        read.map_or_else(|errno| errno.into(), |bytes| bytes.len() as i64 + 1)
    }
}

/// Attach this program to openat(2), and `on_return` to the return of openat(2). `Kernel` is the
/// type from the first example.
#[kprobe]
fn on_entry(context: ProbeContext) -> u32 {
    const OPENAT: Layout = Layout::of::<Native>("openat");
    // SAFETY: the kernel passes this context to a kprobe.
    let call = unsafe { Call::<Native, Kernel>::new(context.as_ptr(), Callers::Native) };
    Paths::keep(call.argument(OPENAT, 2));
    0
}

#[kretprobe]
fn on_return(_: RetProbeContext) -> u32 {
    let mut path = [0; 64];
    if Paths::take_str(&mut path) > 0 {
        // SAFETY: the format matches the type of the argument.
        unsafe { bpf_printk!(b"%s", path.as_ptr()) };
    }
    0
}
