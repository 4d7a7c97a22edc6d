//! Recognises the states in which a kernel accepts probes but does not run them.

use core::fmt;

use crate::sys;

/// A state in which the kernel accepts probes but does not run them: see [`disarmed`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Disarmed {
    /// `kernel.ftrace_enabled` is 0, and probes at a function's entry use ftrace
    /// (Documentation/admin-guide/sysctl/kernel.rst). Detaching a program that was attached in this
    /// state can shut ftrace down until a reboot, because of a bug in Linux 6.1 and 6.12.
    Ftrace,
    /// Kprobes are disabled in debugfs (Documentation/trace/kprobes.rst, "The kprobes debugfs
    /// interface"). A kprobe attached in this state stays disabled.
    Kprobes,
}

/// Checks whether the kernel is in a state in which attached programs do not run.
///
/// Attaching succeeds even in these states, so call this function if an attached program does not
/// run. Returns `None` if none of these states is detected. Checking `kprobes/enabled` requires
/// root, and debugfs mounted at /sys/kernel/debug.
pub fn disarmed() -> Option<Disarmed> {
    let is_off = |path| sys::read_number(path, b"") == Ok(0);
    if is_off(c"/proc/sys/kernel/ftrace_enabled") {
        Some(Disarmed::Ftrace)
    } else if is_off(c"/sys/kernel/debug/kprobes/enabled") {
        Some(Disarmed::Kprobes)
    } else {
        None
    }
}

impl Disarmed {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Disarmed::Ftrace => "kernel.ftrace_enabled is 0: no program runs",
            Disarmed::Kprobes => "/sys/kernel/debug/kprobes/enabled is 0: no program runs",
        }
    }
}

impl fmt::Display for Disarmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
