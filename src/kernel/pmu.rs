//! Finds the kprobe PMU: the PMU whose perf events are kprobes.

use super::LEARNT;
use crate::sys;

/// The kprobe PMU (Linux 4.17), as sysfs describes it
/// (Documentation/ABI/testing/sysfs-bus-event_source-devices-format).
#[derive(Clone, Copy)]
pub(crate) struct Pmu {
    /// The `type` of the PMU's perf events.
    pub(crate) kind: u32,
    /// The bit of `config` that requests a return probe.
    retprobe_bit: u32,
}

impl Pmu {
    /// Reads both numbers from sysfs and caches them, because they do not change while the kernel
    /// runs.
    pub(crate) fn find() -> Option<Self> {
        let known = LEARNT.pmu_kind.get().zip(LEARNT.pmu_retprobe_bit.get());
        if let Some((kind, bit)) = known {
            return Some(Self { kind: kind as u32, retprobe_bit: bit as u32 });
        }
        let kind = sys::read_number(c"/sys/bus/event_source/devices/kprobe/type", b"").ok()?;
        let bit =
            sys::read_number(c"/sys/bus/event_source/devices/kprobe/format/retprobe", b"config:")
                .ok()?;
        let found = Self { kind: kind as u32, retprobe_bit: bit as u32 & 63 };
        LEARNT.pmu_kind.set(found.kind as usize);
        LEARNT.pmu_retprobe_bit.set(found.retprobe_bit as usize);
        Some(found)
    }

    /// Returns the `config` for an event on a function's entry or return.
    pub(crate) fn config(self, retprobe: bool) -> u64 {
        u64::from(retprobe) << self.retprobe_bit
    }
}
