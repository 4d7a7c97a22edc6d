use aya_ebpf::{
    EbpfContext, bpf_printk, helpers::bpf_probe_read_kernel, helpers::bpf_probe_read_user,
    macros::kprobe, programs::ProbeContext,
};
use ksyscall_ebpf::{Call, Callers, Layout, Memory, Native};

struct Kernel;

impl Memory for Kernel {
    #[inline(always)]
    fn kernel_u64(address: u64) -> u64 {
        // SAFETY: the helper returns an error if it cannot read the address.
        unsafe { bpf_probe_read_kernel(address as *const u64) }.unwrap_or(0)
    }
    #[inline(always)]
    fn kernel_u32(address: u64) -> u32 {
        // SAFETY: the helper returns an error if it cannot read the address.
        unsafe { bpf_probe_read_kernel(address as *const u32) }.unwrap_or(0)
    }
    #[inline(always)]
    fn user_u64(address: u64) -> u64 {
        // SAFETY: the helper returns an error if it cannot read the address.
        unsafe { bpf_probe_read_user(address as *const u64) }.unwrap_or(0)
    }
    #[inline(always)]
    fn user_u32(address: u64) -> u32 {
        // SAFETY: the helper returns an error if it cannot read the address.
        unsafe { bpf_probe_read_user(address as *const u32) }.unwrap_or(0)
    }
}

/// Attach this program to pread64(2).
#[kprobe]
fn on_pread(context: ProbeContext) -> u32 {
    const PREAD64: Layout = Layout::of::<Native>("pread64");
    // SAFETY: the kernel passes this context to a kprobe.
    let call = unsafe { Call::<Native, Kernel>::new(context.as_ptr(), Callers::Native) };
    let (fd, count) = (call.argument(PREAD64, 1) as i32, call.argument(PREAD64, 3));
    let offset = call.argument(PREAD64, 4) as i64;
    // SAFETY: the format matches the types of the arguments.
    unsafe { bpf_printk!(b"%d: %lu bytes at %lld", fd, count, offset) };
    0
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
