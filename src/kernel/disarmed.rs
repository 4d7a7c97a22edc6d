//! Recognises the states in which a kernel accepts probes and runs none.

use core::fmt;

use crate::sys;

/// Why the kernel runs no probe at present, though it takes them: see [`disarmed`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Disarmed {
    /// `kernel.ftrace_enabled` is 0, and probes at a function's entry are ftrace's
    /// (Documentation/admin-guide/sysctl/kernel.rst). To detach one that was attached
    /// in this state can shut ftrace down until a reboot, a fault of Linux 6.1 and 6.12.
    Ftrace,
    /// Kprobes are switched off in debugfs (Documentation/trace/kprobes.rst, "The
    /// kprobes debugfs interface"). One that is attached in this state stays off.
    Kprobes,
}

/// Whether the kernel is in a state in which programs that are attached do not run.
///
/// An attach succeeds all the same, so whoever waits for a program that does not run
/// asks this. `None` if nothing is known of such a state: `kprobes/enabled` can be
/// read by root alone, and where a debugfs is mounted at /sys/kernel/debug.
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
