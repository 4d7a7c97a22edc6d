//! The running kernel: what it has, and what this process remembers of that.

pub(crate) mod disarmed;
#[cfg(any(test, fuzzing))]
pub(crate) mod oracle;
pub(crate) mod perf_links;
pub(crate) mod pmu;
pub(crate) mod stubs;
#[cfg(feature = "many")]
pub(crate) mod symbols;
pub(crate) mod tracefs;

use core::sync::atomic::{AtomicBool, AtomicU32};

use crate::resolve::search::RuledOut;
use stubs::Stubs;

/// What the process remembers of the kernel.
///
/// It is what the kernel itself has said beyond doubt, and what stays so for as long as it
/// runs. Nothing that a caller's program or privileges were the evidence for: EPERM
/// teaches nothing, and a file that cannot be read, neither.
pub(crate) struct Learnt {
    /// The conventions that it does not name the functions of its calls by.
    pub(crate) conventions: RuledOut,
    /// The kprobe PMU, as `pmu.rs` packs it; 0 if it has not been found.
    pmu: AtomicU32,
    /// That it may have no BPF links of perf events.
    may_lack_perf_links: AtomicBool,
    stubs: Stubs,
}

pub(crate) static LEARNT: Learnt = Learnt {
    conventions: RuledOut::nothing(),
    pmu: AtomicU32::new(0),
    may_lack_perf_links: AtomicBool::new(false),
    stubs: Stubs::unread(),
};
