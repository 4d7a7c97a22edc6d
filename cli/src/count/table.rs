//! Formats what was counted as text.

use std::fmt::Write as _;

use ksyscall::CLibrary;

use super::bpf::Engine;
use super::tally::{Lost, Row, Subject, Tally};
use super::wanted::Wanted;
use crate::args::{Callers, Sort};
use crate::{errno, printable};

/// The number of columns in the small histogram. The first column contains calls shorter than 256
/// ns. Each further column raises the upper bound by a factor of 4, and the last column also
/// contains all longer calls.
const COLUMNS: usize = 14;
const SCALE: &str = "  µs   ms   s ";
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The table's columns to the right of the call's name, and their widths.
const CELLS: [(&str, usize); 7] = [
    ("CALLS", 10),
    ("ERRORS", 8),
    ("TIME", 5),
    ("AVERAGE", 8),
    ("50% <", 8),
    ("99% <", 8),
    ("LONGEST", 8),
];
/// A table with at most this many lines also lists calls that were not made.
const FEW: usize = 32;

/// What is counted, and how it is shown.
pub(super) struct Plan {
    pub(super) callers: Callers,
    pub(super) engine: Engine,
    /// How many different calls are counted for native callers, and for 32-bit callers.
    pub(super) counts: (usize, usize),
    /// Calls that the kernel has but that cannot be probed.
    pub(super) failures: Vec<(Wanted, anyhow::Error)>,
    pub(super) is_by_process: bool,
    pub(super) sort: Sort,
    pub(super) top: Option<usize>,
    pub(super) with_histograms: bool,
}

/// What was counted in an interval.
pub(super) struct Counted<'a> {
    pub(super) plan: &'a Plan,
    /// The rows, in the order that the user requested.
    pub(super) rows: Vec<Row>,
    pub(super) lost: Lost,
    pub(super) seconds: f64,
}

impl Plan {
    /// Sorts rows as the user requested.
    pub(super) fn sort(&self, rows: &mut [Row]) {
        let key = |row: &Row| match self.sort {
            Sort::Calls => row.tally.calls,
            Sort::Time => row.tally.nanoseconds,
            Sort::Errors => row.tally.errors,
            Sort::Longest => row.tally.longest,
        };
        rows.sort_by_key(|row| std::cmp::Reverse((key(row), row.tally.calls)));
    }
}

impl Counted<'_> {
    /// The rows to print. If there are many rows, calls that were not made are omitted.
    pub(super) fn shown(&self) -> Vec<&Row> {
        let are_all = self.rows.len() <= FEW && !self.plan.is_by_process;
        let shown = self.rows.iter().filter(|row| row.tally.calls > 0 || are_all);
        shown.take(self.plan.top.unwrap_or(usize::MAX)).collect()
    }

    /// All rows, except rows for calls that were not made and have no known name.
    pub(super) fn named(&self) -> Vec<&Row> {
        let is_named = |row: &&Row| row.tally.calls > 0 || !label(row).starts_with("nr_");
        let named = self.rows.iter().filter(is_named);
        named.take(self.plan.top.unwrap_or(usize::MAX)).collect()
    }

    /// The complete result. Columns that do not fit into `width` are left out.
    pub(super) fn text(&self, width: Option<usize>) -> String {
        let shown = self.shown();
        let mut text = self.table(&shown, width.unwrap_or(usize::MAX)) + &self.summary();
        if self.plan.with_histograms {
            text.extend(shown.iter().filter(|row| row.tally.calls > 0).map(|row| histogram(row)));
        }
        text
    }

    /// The part of the result that fits on a terminal of this size. The last line is left blank
    /// for the cursor.
    pub(super) fn live(&self, width: usize, height: usize) -> String {
        let lines = height.saturating_sub(1).max(1);
        let summary = self.summary();
        // The rows matter more than the lines about missed returns.
        let below: Vec<_> = summary.lines().take((lines / 3).max(1)).collect();
        let mut shown = self.shown();
        shown.truncate(lines.saturating_sub(1 + below.len()));
        let table = self.table(&shown, width);
        let all = table.lines().chain(below).take(lines);
        all.map(|line| line.chars().take(width).collect::<String>() + "\n").collect()
    }

    fn table(&self, rows: &[&Row], width: usize) -> String {
        let labels: Vec<_> = rows.iter().map(|row| label(row)).collect();
        let longest = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0).max(16);
        // Show the callers only if non-native callers are possible.
        let has_callers = self.plan.callers != Callers::Native && !self.plan.is_by_process;
        let first = |label: &str, row: Option<&Row>| match row.map(|row| &row.subject) {
            _ if !has_callers => format!("{label:longest$}"),
            Some(Subject::Call(call)) => format!("{label:longest$} {:6}", call.caller()),
            _ => format!("{label:longest$} {:6}", "CALLER"),
        };
        let subject = if self.plan.is_by_process { "    PID COMMAND" } else { "CALL" };
        let mut text =
            line(first(subject, None), CELLS.map(|(name, _)| name.to_owned()), SCALE, width);
        let whole: u64 = self.rows.iter().map(|row| row.tally.nanoseconds).sum();
        for (row, label) in rows.iter().zip(labels) {
            let tally = &row.tally;
            let cell = |value: Option<u64>| value.map_or("-".to_owned(), time);
            // All times are 0 if the kernel's clock is coarse.
            let share = tally.nanoseconds as f64 * 100.0 / whole.max(1) as f64;
            let cells = [
                tally.calls.to_string(),
                if row.has_returns { tally.errors.to_string() } else { "-".to_owned() },
                if tally.returns > 0 { format!("{share:.0}%") } else { "-".to_owned() },
                cell(tally.average()),
                cell(tally.below(50)),
                cell(tally.below(99)),
                cell(Some(tally.longest).filter(|_| tally.returns > 0)),
            ];
            text += &line(first(&label, Some(row)), cells, &bars(tally), width);
        }
        text
    }

    fn summary(&self) -> String {
        let Plan { callers, engine, counts: (native, compat), failures, .. } = self.plan;
        let sum =
            |number: fn(&Tally) -> u64| self.rows.iter().map(|row| number(&row.tally)).sum::<u64>();
        let calls = plural(sum(|tally| tally.calls), "call");
        let errors = plural(sum(|tally| tally.errors), "error");
        let counted = match callers {
            Callers::Native => plural(*native as u64, "system call"),
            Callers::Compat => {
                format!("{} of 32-bit callers", plural(*compat as u64, "system call"))
            }
            Callers::All => {
                let native = plural(*native as u64, "system call");
                format!("{native} of native callers and {compat} of 32-bit callers")
            }
        };
        let mut text = format!(
            "{calls}, {errors} in {:.1} s; {counted} counted by {}",
            self.seconds,
            engine.words(),
        );
        if !failures.is_empty() {
            let names: Vec<_> = failures.iter().map(|(call, _)| call.to_string()).collect();
            let _ = write!(text, "; not {}: the kernel allows no probe there", names.join(", "));
        }
        text.push('\n');
        for row in self.rows.iter().filter(|row| row.has_returns && row.missed() > 0) {
            let why = match engine {
                Engine::Probes => "too many calls were in progress; --max-active tracks more",
                Engine::Tracepoints => "the kernel did not run the program for them",
            };
            let _ = writeln!(
                text,
                "{}: {} missed, which errors and times do not include: {why}",
                label(row).trim_start(),
                plural(row.missed(), "return"),
            );
        }
        for row in self.shown().into_iter().filter(|row| row.tally.calls == 0) {
            if let Some(calls) = glibc_calls(row) {
                let _ = writeln!(text, "{}: glibc calls {calls}", label(row));
            }
        }
        if *engine == Engine::Probes && self.lost.entries.is_none() {
            text += "calls that the kernel skipped are unknown: it counts them since Linux 6.7\n";
        }
        for (count, what) in self.not_counted() {
            let _ = writeln!(text, "not counted: {count} {what}");
        }
        text
    }

    /// What is missing from the counts, and why.
    fn not_counted(&self) -> Vec<(u64, &'static str)> {
        let lost = &self.lost;
        let skips = match self.plan.engine {
            Engine::Tracepoints => (
                "calls, of any process: the program was running on their processor",
                "returns, of any process: the program was running on their processor",
            ),
            Engine::Probes => (
                "calls, of any process: a BPF program or map was in use on their processor",
                "returns, of any process: a BPF program or map was in use on their processor",
            ),
        };
        let all = [
            (lost.entries.unwrap_or(0), skips.0),
            (lost.returns.unwrap_or(0), skips.1),
            (lost.threads, "calls: there are more threads than the map has room for"),
            (
                lost.processes,
                "calls and returns: there are more processes than the map has room for",
            ),
            (lost.errnos, "errors by name: there are more errors than the map has room for"),
        ];
        all.into_iter().filter(|(count, _)| *count > 0).collect()
    }
}

/// A line of the table, with as many columns as fit into `most` characters.
fn line(first: String, cells: [String; CELLS.len()], bars: &str, most: usize) -> String {
    let mut line = first;
    let mut end = line.chars().count();
    for (cell, (_, width)) in cells.into_iter().zip(CELLS) {
        end += 1 + width;
        if end <= most {
            let _ = write!(line, " {cell:>width$}");
        }
    }
    if end + 2 + COLUMNS <= most {
        let _ = write!(line, "  {bars}");
    }
    line.truncate(line.trim_end().len());
    line + "\n"
}

fn label(row: &Row) -> String {
    match &row.subject {
        Subject::Call(call) => call.name.to_string(),
        Subject::Process { id, name } => format!("{id:>7} {}", printable(name)),
    }
}

/// The calls that glibc makes instead of the row's call. None for 32-bit callers, whose calls are
/// not in the native table.
fn glibc_calls(row: &Row) -> Option<String> {
    let Subject::Call(call) = &row.subject else { return None };
    let calls = CLibrary::Glibc.calls(&call.name);
    if call.is_compat || calls.is_empty() || calls.contains(&call.name) {
        return None;
    }
    let names: Vec<_> = calls.iter().map(|call| call.as_str()).collect();
    Some(names.join(", "))
}

fn plural(count: u64, thing: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{s}")
}

/// The small histogram of the calls' durations, with one character for each column.
fn bars(tally: &Tally) -> String {
    let mut columns = [0_u64; COLUMNS];
    for (bucket, count) in tally.took.iter().enumerate() {
        // Bucket 8 ends at 256 ns.
        let column = bucket.saturating_sub(7) / 2;
        columns[column.min(COLUMNS - 1)] += count;
    }
    let most = columns.iter().max().copied().unwrap_or(0).max(1);
    let bar = |count: &u64| match *count {
        0 => ' ',
        count => BARS[(count * 8).div_ceil(most) as usize - 1],
    };
    columns.iter().map(bar).collect()
}

fn histogram(row: &Row) -> String {
    let tally = &row.tally;
    let name = match &row.subject {
        Subject::Call(call) => call.to_string(),
        Subject::Process { .. } => label(row).trim_start().to_owned(),
    };
    let function = row.function.map(|function| format!(" ({function})")).unwrap_or_default();
    let mut text = format!("\n{name}{function}\n");
    let most = tally.took.iter().max().copied().unwrap_or(0).max(1);
    let first = tally.took.iter().position(|count| *count > 0);
    let last = tally.took.iter().rposition(|count| *count > 0);
    if let (Some(first), Some(last)) = (first, last) {
        for (bucket, count) in tally.took.iter().enumerate().take(last + 1).skip(first) {
            let bar = "█".repeat((count * 40).div_ceil(most) as usize);
            let from = time((1 << bucket) / 2);
            let end = time(tally.end_of(bucket));
            let _ = writeln!(text, "  {from:>8} to {end:>8} {count:>10} {bar}");
        }
    }
    for (errno, count) in &row.errnos {
        let _ = writeln!(text, "  {:20} {count:>10}", errno::name_of(*errno));
    }
    let of_returns = [(tally.unfinished(), "not returned"), (tally.ended, "thread ended in it")];
    for (count, what) in of_returns.into_iter().filter(|(count, _)| row.has_returns && *count > 0) {
        let _ = writeln!(text, "  {what:20} {count:>10}");
    }
    text
}

/// A duration with two or three digits and its unit.
fn time(nanoseconds: u64) -> String {
    let (value, unit) = match nanoseconds {
        ..1_000 => return format!("{nanoseconds} ns"),
        1_000..1_000_000 => (nanoseconds as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (nanoseconds as f64 / 1e6, "ms"),
        _ => (nanoseconds as f64 / 1e9, "s"),
    };
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::tally::tests::tally;

    #[test]
    fn times_have_few_digits() {
        for (nanoseconds, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_024, "1.0 µs"),
            (65_536, "66 µs"),
            (8_388_608, "8.4 ms"),
            (1 << 39, "550 s"),
        ] {
            assert_eq!(time(nanoseconds), text);
        }
    }

    fn row(subject: Subject, calls: u64) -> Row {
        let tally = tally(calls, 0, &[(10, calls)]);
        let (function, errnos) = (None, Vec::new());
        Row { subject, function, tally, errnos, missed_by_kernel: None, has_returns: true }
    }

    fn call(name: &str, calls: u64) -> Row {
        let name = ksyscall::SyscallName::new(name).unwrap();
        row(Subject::Call(Wanted { name, is_compat: false, number: None }), calls)
    }

    fn plan() -> Plan {
        Plan {
            callers: Callers::Native,
            engine: Engine::Tracepoints,
            counts: (100, 0),
            failures: Vec::new(),
            is_by_process: false,
            sort: Sort::Calls,
            top: None,
            with_histograms: false,
        }
    }

    #[test]
    fn live_output_fits_on_the_terminal() {
        let mut rows: Vec<_> = (0..100).map(|number| call(&format!("call{number}"), 100)).collect();
        for row in rows.iter_mut().take(50) {
            row.tally.missed = 1;
        }
        let counted = Counted { plan: &plan(), rows, lost: Lost::default(), seconds: 1.0 };
        for (width, height) in [(40, 10), (200, 50), (80, 24), (1, 1), (80, 2), (300, 300)] {
            let text = counted.live(width, height);
            let lines: Vec<_> = text.lines().collect();
            assert!(lines.len() < height.max(2), "{height}: {text}");
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}: {text}");
            if height >= 10 {
                let rows = lines.iter().filter(|line| line.starts_with("call")).count();
                assert!(rows >= height.min(100) / 2, "{text}");
                assert!(lines.iter().any(|line| line.starts_with("10000 calls, ")), "{text}");
            }
        }
    }

    #[test]
    fn columns_that_do_not_fit_are_left_out() {
        let counted = Counted {
            plan: &plan(),
            rows: vec![call("openat", 4)],
            lost: Lost::default(),
            seconds: 1.0,
        };
        let last = |width| {
            let text = counted.text(width);
            let [head, row, ..] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
            // The call's name is always shown.
            let fits = |line: &str| width.is_none_or(|most| line.chars().count() <= most.max(16));
            assert!(fits(head) && fits(row), "{text}");
            head.split("  ").last().unwrap().trim().to_owned()
        };
        assert_eq!(last(None), "s");
        assert_eq!(last(Some(200)), "s");
        assert_eq!(last(Some(80)), "LONGEST");
        assert_eq!(last(Some(40)), "ERRORS");
        assert_eq!(last(Some(1)), "CALL");
    }

    #[test]
    fn a_clock_that_does_not_advance_leaves_shares_of_0() {
        let mut row = call("openat", 1);
        row.tally.nanoseconds = 0;
        let lost = Lost::default();
        let text = Counted { plan: &plan(), rows: vec![row], lost, seconds: 1.0 }.text(None);
        assert!(text.contains(" 0%  "), "{text}");
    }

    #[test]
    fn lost_counts_are_reported() {
        let lost = Lost { entries: Some(3), returns: None, threads: 5, ..Lost::default() };
        let rows = vec![call("openat", 1)];
        let text = Counted { plan: &plan(), rows, lost, seconds: 1.0 }.text(None);
        assert!(text.contains("not counted: 3 calls, of any process: the program was"), "{text}");
        assert!(text.contains("not counted: 5 calls: there are more threads"), "{text}");
        assert!(!text.contains("returns, of any"), "{text}");
    }

    #[test]
    fn a_call_that_was_not_made_names_what_glibc_calls_instead() {
        let mut compat = call("creat", 0);
        if let Subject::Call(call) = &mut compat.subject {
            call.is_compat = true;
        }
        let rows =
            vec![call("open", 0), call("exit", 2), call("openat", 0), call("faccessat", 0), compat];
        let text = Counted { plan: &plan(), rows, lost: Lost::default(), seconds: 1.0 }.text(None);
        let hints: Vec<_> = text.lines().filter(|line| line.contains("glibc")).collect();
        assert_eq!(hints, ["open: glibc calls openat"]);
        // If there are many rows, rows without calls are not shown.
        let rows = (0..=FEW).map(|_| call("open", 0)).collect();
        let text = Counted { plan: &plan(), rows, lost: Lost::default(), seconds: 1.0 }.text(None);
        assert!(!text.contains("glibc"), "{text}");
    }

    #[test]
    fn a_processs_name_does_not_control_the_terminal() {
        let process = Subject::Process { id: 12, name: "\u{1b}[2J".to_owned() };
        let plan = Plan { is_by_process: true, top: Some(1), ..plan() };
        let other = Subject::Process { id: 13, name: "sh".to_owned() };
        let rows = vec![row(process, 5), row(other, 4)];
        let text = Counted { plan: &plan, rows, lost: Lost::default(), seconds: 1.0 }.text(None);
        assert!(text.contains("     12 \\u{1b}[2J "), "{text}");
        assert!(!text.contains("13 sh"), "{text}");
    }

    #[test]
    fn rows_are_sorted_as_requested() {
        let mut rows = vec![call("often", 9), call("long", 1)];
        rows[1].tally.nanoseconds = 1 << 30;
        rows[1].tally.errors = 1;
        for (sort, first) in [(Sort::Calls, "often"), (Sort::Time, "long"), (Sort::Errors, "long")]
        {
            Plan { sort, ..plan() }.sort(&mut rows);
            assert_eq!(label(&rows[0]), first);
        }
    }

    #[test]
    fn bars_align_with_the_scale() {
        let place = |unit: char| SCALE.chars().position(|c| c == unit);
        // Bucket 11 is 1 to 2 µs, bucket 21 is 1 to 2 ms, and bucket 31 is 1 to 2 s.
        for (bucket, unit) in [(11, 'µ'), (21, 'm')] {
            let bars = bars(&tally(1, 0, &[(bucket, 1)]));
            assert_eq!(bars.chars().position(|c| c != ' '), place(unit), "{bars:?}");
        }
        let second = bars(&tally(1, 0, &[(31, 1)]));
        assert_eq!(second.chars().position(|c| c != ' '), Some(12));
        assert_eq!(SCALE.chars().nth(12), Some('s'));
        assert_eq!(SCALE.chars().count(), COLUMNS);
    }

    #[test]
    fn rare_durations_stay_visible() {
        let bars = bars(&tally(1001, 0, &[(9, 1000), (21, 1)]));
        assert_eq!(bars.trim_end(), " █     ▁");
        assert_eq!(super::bars(&tally(1, 0, &[(0, 1), (39, 1)])), "█            █");
    }
}
