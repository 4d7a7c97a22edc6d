//! Detects what the running kernel supports, and remembers the results.

pub(crate) mod compat;
pub(crate) mod disarmed;
mod known;
#[cfg(any(test, fuzzing))]
pub(crate) mod oracle;
pub(crate) mod perf_links;
pub(crate) mod pmu;
pub(crate) mod recursion;
pub(crate) mod stubs;
pub(crate) mod symbols;
pub(crate) mod tracefs;
pub(crate) mod version;

pub(crate) use known::Known;
use tracefs::Line;

/// The kind of probe to create.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// Probe the function's return instead of its entry.
    pub(crate) retprobe: bool,
    /// Number of in-flight calls that a return probe tracks; 0 selects the kernel's default.
    pub(crate) max_active: u32,
}

impl Kind {
    pub(crate) const ENTRY: Self = Self { retprobe: false, max_active: 0 };

    /// Appends the start of a `kprobe_events` command to `line`.
    fn add_to(self, line: &mut Line) {
        line.add(if self.retprobe { b"r" } else { b"p" });
        if self.max_active != 0 {
            line.add_number(self.max_active.into());
        }
        line.add(b":");
    }
}

/// What the process remembers about the kernel. [`Known`] describes what may be remembered.
pub(crate) struct Learnt {
    /// The conventions by which the kernel may name syscall functions, as a set of bits.
    pub(crate) conventions: Known,
    /// The index of the kernel's convention for 32-bit callers.
    pub(crate) compat: Known,
    /// The index of the kernel's convention for x32 callers, or the number of conventions if the
    /// kernel does not support x32.
    pub(crate) x32: Known,
    pmu_kind: Known,
    pmu_retprobe_bit: Known,
    /// Set if the kernel may lack BPF links for perf events.
    may_lack_perf_links: Known,
    /// The kernel's version, as packed by `version.rs`.
    version: Known,
}

impl Learnt {
    const fn nothing() -> Self {
        Self {
            conventions: Known::nothing(),
            compat: Known::nothing(),
            x32: Known::nothing(),
            pmu_kind: Known::nothing(),
            pmu_retprobe_bit: Known::nothing(),
            may_lack_perf_links: Known::nothing(),
            version: Known::nothing(),
        }
    }
}

#[cfg(not(test))]
pub(crate) static LEARNT: Learnt = Learnt::nothing();
#[cfg(test)]
pub(crate) static LEARNT: of_a_test::Learnt = of_a_test::Learnt;

/// Each test thread has its own fake kernel, and remembers only what that kernel supports.
#[cfg(test)]
pub(crate) mod of_a_test {
    use std::cell::Cell;

    thread_local!(static LEARNT: Cell<&'static super::Learnt> = Cell::new(nothing()));

    fn nothing() -> &'static super::Learnt {
        Box::leak(Box::new(super::Learnt::nothing()))
    }

    pub(crate) struct Learnt;

    impl Learnt {
        /// Forgets everything, as if in a new process.
        pub(crate) fn forget(&self) {
            LEARNT.set(nothing());
        }
    }

    impl std::ops::Deref for Learnt {
        type Target = super::Learnt;

        fn deref(&self) -> &super::Learnt {
            LEARNT.get()
        }
    }
}
