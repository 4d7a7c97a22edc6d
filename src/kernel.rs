//! Finds out what the running kernel has, and remembers it.

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

/// What the process remembers of the kernel, by the rule of [`Known`].
pub(crate) struct Learnt {
    /// The conventions that the functions of its calls may have: a set of bits.
    pub(crate) conventions: Known,
    /// Which of the conventions of its 32-bit callers it has, by index.
    pub(crate) compat: Known,
    /// The same of x32 ones; as many as there are if it has none.
    pub(crate) x32: Known,
    pmu_kind: Known,
    pmu_retprobe_bit: Known,
    /// That it may have no BPF links of perf events.
    may_lack_perf_links: Known,
    /// Its version, as `version.rs` packs it.
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

/// Each test has a kernel, and learns what that one has.
#[cfg(test)]
pub(crate) mod of_a_test {
    use std::cell::Cell;

    thread_local!(static LEARNT: Cell<&'static super::Learnt> = Cell::new(nothing()));

    fn nothing() -> &'static super::Learnt {
        Box::leak(Box::new(super::Learnt::nothing()))
    }

    pub(crate) struct Learnt;

    impl Learnt {
        /// Begins anew, as in another process.
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
