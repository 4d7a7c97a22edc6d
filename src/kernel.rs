//! The running kernel: what it has, and what this process remembers of that.

pub(crate) mod compat;
pub(crate) mod disarmed;
#[cfg(any(test, fuzzing))]
pub(crate) mod oracle;
pub(crate) mod perf_links;
pub(crate) mod pmu;
pub(crate) mod recursion;
pub(crate) mod stubs;
pub(crate) mod symbols;
pub(crate) mod tracefs;
pub(crate) mod version;

use core::sync::atomic::{AtomicBool, AtomicU32};

use tracefs::Line;

use crate::resolve::callers::LearntConvention;
use crate::resolve::search::RuledOut;
use stubs::Stubs;

/// Which kind of probe is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// At a function's return, not at its entry.
    pub(crate) retprobe: bool,
    /// How many calls a return probe watches at a time; 0 is the kernel's default.
    pub(crate) max_active: u32,
}

impl Kind {
    pub(crate) const ENTRY: Self = Self { retprobe: false, max_active: 0 };

    /// Adds what a line of `kprobe_events` begins with.
    fn add_to(self, line: &mut Line) {
        if self.max_active != 0 {
            line.add(b"r");
            line.add_number(self.max_active.into());
            line.add(b":");
            return;
        }
        line.add(if self.retprobe { b"r:" } else { b"p:" });
    }
}

/// What the process remembers of the kernel.
///
/// It is what the kernel itself has said beyond doubt, and what stays so for as long as it
/// runs. Nothing that a caller's program or privileges were the evidence for: EPERM
/// teaches nothing, and a file that cannot be read, neither.
pub(crate) struct Learnt {
    /// The conventions that it does not name the functions of its calls by.
    pub(crate) conventions: RuledOut,
    /// That by which it names those of its 32-bit processes' calls.
    pub(crate) compat: LearntConvention,
    /// The same of x32 ones.
    pub(crate) x32: LearntConvention,
    /// The kprobe PMU, as `pmu.rs` packs it; 0 if it has not been found.
    pmu: AtomicU32,
    /// That it may have no BPF links of perf events.
    may_lack_perf_links: AtomicBool,
    /// Its version, as `version.rs` packs it; 0 if it has not been read.
    version: AtomicU32,
}

pub(crate) static LEARNT: Learnt = Learnt {
    conventions: RuledOut::nothing(),
    compat: LearntConvention::of_compat(),
    x32: LearntConvention::of_x32(),
    pmu: AtomicU32::new(0),
    may_lack_perf_links: AtomicBool::new(false),
    version: AtomicU32::new(0),
};

/// Remembered by the same rule. Apart, for the pointers in [`LEARNT`] would make the zeros of this a
/// part of the file.
static STUBS: Stubs = Stubs::unread();
