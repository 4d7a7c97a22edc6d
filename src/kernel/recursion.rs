//! Reads how many times the kernel skipped a program because the CPU was busy with BPF.

use core::ffi::c_int;

use super::version::is_at_least;
use crate::sys;

/// Returns how many times the kernel has skipped a kprobe program since the program was loaded,
/// because the CPU was executing another BPF program or a bpf(2) map operation. Returns `None` if
/// the kernel does not count this for kprobe programs (before Linux 6.7), or if `program` is not a
/// BPF program.
///
/// A task that is preempted inside a map operation leaves its CPU marked as busy with BPF, so the
/// program does not run for other tasks' calls on that CPU until the task continues. No loader can
/// prevent this. The number covers all functions that the program is attached to. These skipped
/// calls are not included in [`Link::missed`].
///
/// ```no_run
/// # fn load() -> std::os::fd::OwnedFd { unimplemented!() }
/// # let program = load();
/// match ksyscall::recursion_misses(&program) {
///     Some(0) => {}
///     Some(calls) => eprintln!("the program did not run for {calls} calls"),
///     None => eprintln!("this kernel does not count calls that it skips"),
/// }
/// ```
///
/// Source: `bpf_prog_active` in `trace_call_bpf()` and `kprobe_multi_link_prog_run()`
/// (kernel/trace/bpf_trace.c), `bpf_disable_instrumentation()` in include/linux/bpf.h, and
/// `recursion_misses` in `struct bpf_prog_info` (since Linux 5.12; for kprobe programs since 6.7).
///
/// [`Link::missed`]: crate::Link::missed
#[cfg(feature = "std")]
pub fn recursion_misses(program: impl std::os::fd::AsFd) -> Option<u64> {
    use std::os::fd::AsRawFd;
    recursion_misses_of(program.as_fd().as_raw_fd())
}

pub(crate) fn recursion_misses_of(program_fd: c_int) -> Option<u64> {
    let misses = sys::bpf_program_recursion_misses(program_fd)?;
    // A kernel that does not count skipped runs returns 0. A higher number is a real count: a
    // vendor may have backported the counting to an older kernel.
    (misses > 0 || is_at_least(6, 7)).then_some(misses)
}

#[cfg(test)]
mod tests {
    use super::recursion_misses_of;
    use crate::sys::fake::Kernel;

    fn misses(info: &'static [u64], release: &'static str) -> Option<u64> {
        let files = vec![("/proc/sys/kernel/osrelease", release)].leak();
        Kernel { files, info, ..Kernel::new() }.run(|| recursion_misses_of(3)).0
    }

    /// Returns a `struct bpf_prog_info` with all fields of the newest kernel header, in which
    /// `recursion_misses` equals `misses`.
    fn program(misses: u64) -> &'static [u64] {
        let mut info = vec![1; 29];
        info[26] = misses;
        info.leak()
    }

    #[test]
    fn zero_is_reported_only_by_kernels_that_count() {
        assert_eq!(misses(program(0), "6.7.0\n"), Some(0));
        assert_eq!(misses(program(5), "6.12.117+deb13-cloud-amd64\n"), Some(5));
        assert_eq!(misses(program(0), "6.6.9\n"), None);
        assert_eq!(misses(program(0), "5.14.0-503.el9\n"), None);
        assert_eq!(misses(program(9), "5.14.0-503.el9\n"), Some(9));
        // Linux 5.10 lacks the field.
        assert_eq!(misses(&program(9)[..26], "5.10.0\n"), None);
        // The kernel returns no info for a descriptor that does not refer to a program.
        assert_eq!(misses(&[], "6.12.1\n"), None);
    }
}
