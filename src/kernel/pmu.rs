//! The PMU whose perf events are kprobes.

use core::sync::atomic::Ordering;

use super::LEARNT;
use crate::sys;

/// The kprobe PMU (Linux 4.17), as sysfs describes it
/// (Documentation/ABI/testing/sysfs-bus-event_source-devices-format).
#[derive(Clone, Copy)]
pub(crate) struct Pmu {
    /// The `type` of its perf events.
    pub(crate) kind: u32,
    /// Which bit of `config` asks for a return probe.
    retprobe_bit: u32,
}

impl Pmu {
    /// Reads sysfs the first time that it is there; neither number changes
    /// while the kernel runs.
    pub(crate) fn find() -> Option<Self> {
        // A PMU's type is never 0, which is PERF_TYPE_HARDWARE.
        let known = LEARNT.pmu.load(Ordering::Relaxed);
        if known != 0 {
            return Some(Self { kind: known as u32, retprobe_bit: (known >> 32) as u32 });
        }
        let kind = sys::read_number(c"/sys/bus/event_source/devices/kprobe/type", b"").ok()?;
        let bit =
            sys::read_number(c"/sys/bus/event_source/devices/kprobe/format/retprobe", b"config:")
                .ok()?;
        LEARNT.pmu.store(bit << 32 | kind, Ordering::Relaxed);
        Some(Self { kind: kind as u32, retprobe_bit: bit as u32 })
    }

    /// The `config` of an event on a function's entry, or on its return.
    pub(crate) fn config(self, retprobe: bool) -> u64 {
        u64::from(retprobe) << (self.retprobe_bit & 63)
    }
}
