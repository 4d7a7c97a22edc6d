//! Sums up what was counted for each call or process.

use serde_json::json;

use ksyscall::Symbol;

use super::wanted::Wanted;
use crate::errno;

/// `BUCKETS` in bpf/count.bpf.c.
const BUCKETS: usize = 40;
/// The number of values in `struct tally` in bpf/count.bpf.c.
pub(super) const NUMBERS: usize = 10 + BUCKETS;

/// What was counted for one call or process, summed over all processors.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) calls: u64,
    pub(super) returns: u64,
    pub(super) errors: u64,
    /// Calls whose returns the kernel missed.
    pub(super) missed: u64,
    /// Calls during which the calling thread exited.
    pub(super) ended: u64,
    pub(super) nanoseconds: u64,
    pub(super) longest: u64,
    /// The number of calls that took at least 2^(n-1) ns and less than 2^n ns. The last bucket also
    /// counts all longer calls.
    pub(super) took: [u64; BUCKETS],
}

/// The subject of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Subject {
    Call(Wanted),
    Process { id: u32, name: String },
}

impl Subject {
    /// Identifies the subject.
    pub(super) fn key(&self) -> (&'static str, &str, u32) {
        match self {
            Subject::Call(call) => (call.caller(), call.name.as_str(), 0),
            Subject::Process { id, .. } => ("", "", *id),
        }
    }
}

/// A call or a process, and what was counted for it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) subject: Subject,
    /// The function that is probed for the call, if any.
    pub(super) function: Option<Symbol>,
    pub(super) tally: Tally,
    /// Pairs of errno and count, the most frequent first.
    pub(super) errnos: Vec<(i32, u64)>,
    /// The number of returns from the function that the kernel missed, in all processes.
    pub(super) missed_by_kernel: Option<u64>,
    /// Whether errors and times are known.
    pub(super) has_returns: bool,
}

/// What was not counted, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Lost {
    /// How many times the kernel skipped the entry program and the return program. None if the
    /// kernel does not count skipped runs.
    pub(super) entries: Option<u64>,
    pub(super) returns: Option<u64>,
    /// What was lost because a map was full: calls by threads without an entry, calls and returns
    /// in processes without a tally, and errors whose errno has no entry.
    pub(super) threads: u64,
    pub(super) processes: u64,
    pub(super) errnos: u64,
}

impl Lost {
    /// What was lost since `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        let of = |now: Option<u64>, before: Option<u64>| {
            now.map(|now| now.saturating_sub(before.unwrap_or(0)))
        };
        Self {
            entries: of(self.entries, before.entries),
            returns: of(self.returns, before.returns),
            threads: self.threads - before.threads,
            processes: self.processes - before.processes,
            errnos: self.errnos - before.errnos,
        }
    }

    pub(super) fn json(&self) -> serde_json::Value {
        json!({
            "skipped_calls": self.entries,
            "skipped_returns": self.returns,
            "no_room_for_threads": self.threads,
            "no_room_for_processes": self.processes,
            "no_room_for_errnos": self.errnos,
        })
    }
}

impl Tally {
    /// Sums the counts of all processors. `longest` covers only `interval`.
    pub(super) fn sum(processors: &[[u64; NUMBERS]], interval: u32) -> Self {
        let sum = |place: usize| processors.iter().map(|numbers| numbers[place]).sum();
        let slot = interval as usize & 1;
        let of_interval =
            processors.iter().filter(|numbers| numbers[8 + slot] == u64::from(interval));
        Self {
            calls: sum(0),
            returns: sum(1),
            errors: sum(2),
            missed: sum(3),
            ended: sum(4),
            nanoseconds: sum(5),
            longest: of_interval.map(|numbers| numbers[6 + slot]).max().unwrap_or(0),
            took: std::array::from_fn(|bucket| sum(10 + bucket)),
        }
    }

    /// What was counted since `before`. `longest` is unchanged, because it covers only one
    /// interval.
    fn since(&self, before: &Self) -> Self {
        Self {
            calls: self.calls - before.calls,
            returns: self.returns - before.returns,
            errors: self.errors - before.errors,
            missed: self.missed - before.missed,
            ended: self.ended - before.ended,
            nanoseconds: self.nanoseconds - before.nanoseconds,
            longest: self.longest,
            took: std::array::from_fn(|bucket| self.took[bucket] - before.took[bucket]),
        }
    }

    /// Calls that are still in progress.
    pub(super) fn unfinished(&self) -> u64 {
        self.calls.saturating_sub(self.returns + self.missed + self.ended)
    }

    pub(super) fn average(&self) -> Option<u64> {
        self.nanoseconds.checked_div(self.returns)
    }

    /// The smallest power of two, in nanoseconds, that exceeds the duration of this percentage of
    /// calls.
    pub(super) fn below(&self, percent: u64) -> Option<u64> {
        let mut seen = 0;
        let bucket = self.took.iter().position(|count| {
            seen += count;
            seen * 100 >= self.returns * percent
        });
        bucket.filter(|_| self.returns > 0).map(|bucket| self.end_of(bucket))
    }

    /// The smallest power of two, in nanoseconds, that exceeds the duration of every call in the
    /// bucket.
    pub(super) fn end_of(&self, bucket: usize) -> u64 {
        let end = 1 << bucket;
        if bucket < BUCKETS - 1 { end } else { end.max((self.longest + 1).next_power_of_two()) }
    }
}

impl Row {
    /// What was counted since `before`, which is an earlier row for the same call or process.
    pub(super) fn since(&self, before: &Self) -> Self {
        let counted = |errno: i32| {
            let found = before.errnos.iter().find(|(number, _)| *number == errno);
            found.map_or(0, |(_, count)| *count)
        };
        let errnos = self.errnos.iter().map(|(errno, count)| (*errno, count - counted(*errno)));
        let missed_by_kernel = self.missed_by_kernel.zip(before.missed_by_kernel);
        Self {
            tally: self.tally.since(&before.tally),
            errnos: errnos.filter(|(_, count)| *count > 0).collect(),
            // The kernel counts without a lock, so the number can decrease.
            missed_by_kernel: missed_by_kernel.map(|(now, before)| now.saturating_sub(before)),
            ..self.clone()
        }
    }

    /// The number of returns that the kernel missed. The thread's next call reveals a missed
    /// return. If the thread makes no further call, the missed return appears only in the kernel's
    /// count, which covers all processes.
    pub(super) fn missed(&self) -> u64 {
        let tally = &self.tally;
        let at_most = tally.missed + tally.ended + tally.unfinished();
        self.missed_by_kernel.unwrap_or(0).min(at_most).max(tally.missed)
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let tally = &self.tally;
        let histogram = tally.took.iter().enumerate().filter(|(_, count)| **count > 0);
        let histogram: Vec<_> = histogram
            .map(|(bucket, count)| json!({ "below_ns": tally.end_of(bucket), "calls": count }))
            .collect();
        let errnos =
            self.errnos.iter().map(|(errno, count)| (errno::name_of(*errno), json!(count)));
        let known = |number: u64| self.has_returns.then_some(number);
        let mut row = match &self.subject {
            Subject::Call(call) => json!({ "name": call.name.as_str(), "caller": call.caller() }),
            Subject::Process { id, name } => json!({ "pid": id, "command": name }),
        };
        let counted = json!({
            "function": self.function.map(|function| function.to_string()),
            "calls": tally.calls,
            "returns": known(tally.returns),
            "errors": known(tally.errors),
            "missed_returns": known(tally.missed),
            "ended_threads": known(tally.ended),
            "unfinished": known(tally.unfinished()),
            "missed_by_kernel": self.missed_by_kernel,
            "total_ns": known(tally.nanoseconds),
            "longest_ns": known(tally.longest),
            "histogram": histogram,
            "errnos": errnos.collect::<serde_json::Map<_, _>>(),
        });
        if let (Some(row), serde_json::Value::Object(counted)) = (row.as_object_mut(), counted) {
            row.extend(counted);
        }
        row
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A tally from a single processor. `took` contains (bucket, number of returns) pairs.
    pub(in crate::count) fn tally(calls: u64, errors: u64, took: &[(usize, u64)]) -> Tally {
        let mut numbers = [0; NUMBERS];
        numbers[0] = calls;
        numbers[1] = took.iter().map(|(_, count)| count).sum();
        numbers[2] = errors;
        numbers[9] = 1;
        for (bucket, count) in took {
            numbers[10 + bucket] = *count;
            numbers[5] += count << bucket;
            numbers[7] = 1 << bucket;
        }
        Tally::sum(&[numbers], 1)
    }

    #[test]
    fn processors_are_summed_and_the_longest_call_is_the_maximum() {
        let one = std::array::from_fn(|place| place as u64);
        let mut two = [100; NUMBERS];
        let sum = Tally::sum(&[one, two], 9);
        assert_eq!((sum.calls, sum.returns, sum.errors), (100, 101, 102));
        assert_eq!((sum.missed, sum.ended, sum.nanoseconds), (103, 104, 105));
        assert_eq!((sum.took[0], sum.took[39]), (110, 149));
        // The second processor counted no calls in the interval.
        assert_eq!(sum.longest, 7);
        two[9] = 9;
        assert_eq!(Tally::sum(&[one, two], 9).longest, 100);
    }

    #[test]
    fn since_subtracts_earlier_counts() {
        let (before, mut now) = (tally(10, 1, &[(10, 9)]), tally(15, 3, &[(10, 10), (12, 4)]));
        now.longest = 7;
        let between = now.since(&before);
        assert_eq!((between.calls, between.returns, between.errors), (5, 5, 2));
        assert_eq!((between.took[10], between.took[12], between.longest), (1, 4, 7));
        assert_eq!(between.nanoseconds, (1 << 10) + (4 << 12));
    }

    #[test]
    fn the_kernels_count_of_missed_returns_may_decrease() {
        let row = |missed| Row {
            subject: Subject::Process { id: 1, name: String::new() },
            function: None,
            tally: tally(1, 0, &[]),
            errnos: Vec::new(),
            missed_by_kernel: Some(missed),
            has_returns: true,
        };
        assert_eq!(row(5).since(&row(3)).missed_by_kernel, Some(2));
        assert_eq!(row(3).since(&row(5)).missed_by_kernel, Some(0));
    }

    #[test]
    fn percentiles_are_upper_bounds() {
        let some = tally(100, 0, &[(10, 50), (12, 49), (20, 1)]);
        assert_eq!(
            (some.below(50), some.below(51), some.below(99)),
            (Some(1024), Some(4096), Some(4096))
        );
        assert_eq!(some.below(100), Some(1 << 20));
        assert_eq!(tally(3, 0, &[]).below(50), None);
        // The last bucket ends at 550 seconds, unless a call took longer: here, 20 minutes.
        let mut long = tally(1, 0, &[(BUCKETS - 1, 1)]);
        long.longest = 1_200_000_000_000;
        assert_eq!(long.below(100), Some(1 << 41));
        assert_eq!(tally(3, 0, &[]).average(), None);
    }

    #[test]
    fn calls_without_a_return_are_missed_ended_or_unfinished() {
        let mut some = tally(10, 0, &[(10, 6)]);
        some.missed = 2;
        some.ended = 1;
        assert_eq!(some.unfinished(), 1);
    }
}
