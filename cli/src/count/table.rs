//! What was counted, as text.

use std::fmt::Write as _;
use std::io::Write;

use anyhow::Result;

use super::bpf::Attached;
use super::tally::{Row, Tally, errno_name};
use crate::args::Callers;

/// A column of the small histogram is a factor of 4, from 256 ns on; the first and the last
/// are what is below and above.
const COLUMNS: usize = 14;
const SCALE: &str = "  µs   ms   s ";
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The result.
pub(super) fn write(
    out: &mut impl Write,
    rows: &[Row],
    seconds: f64,
    attached: &Attached,
    with_histograms: bool,
) -> Result<()> {
    // Of many calls, those that were made.
    let is_shown = |row: &&Row| row.tally.calls > 0 || rows.len() <= 32;
    let shown: Vec<_> = rows.iter().filter(is_shown).collect();
    out.write_all(table(&shown, attached.callers).as_bytes())?;
    out.write_all(summary(rows, seconds, attached).as_bytes())?;
    if with_histograms {
        for row in shown.iter().filter(|row| row.tally.calls > 0) {
            out.write_all(histogram(row).as_bytes())?;
        }
    }
    Ok(out.flush()?)
}

/// What fits on a terminal, with the most frequent calls.
pub(super) fn live(
    rows: &[Row],
    seconds: f64,
    attached: &Attached,
    width: usize,
    height: usize,
) -> String {
    fit(rows, attached.callers, &summary(rows, seconds, attached), width, height)
}

/// The table's head, rows, and what stands below, in so many columns and in a line less than
/// the height: the cursor stands in the last.
fn fit(rows: &[Row], callers: Callers, below: &str, width: usize, height: usize) -> String {
    let lines = height.saturating_sub(1).max(1);
    // The rows matter more than all that may be told of returns that were missed.
    let below: Vec<_> = below.lines().take((lines / 3).max(1)).collect();
    let made = rows.iter().filter(|row| row.tally.calls > 0 || rows.len() <= 32);
    let shown: Vec<_> = made.take(lines.saturating_sub(1 + below.len())).collect();
    let table = table(&shown, callers);
    let all = table.lines().chain(below).take(lines);
    all.map(|line| line.chars().take(width).collect::<String>() + "\n").collect()
}

fn table(rows: &[&Row], callers: Callers) -> String {
    let width = rows.iter().map(|row| row.call.name.as_str().len()).max().unwrap_or(0).max(16);
    // Only if there can be others than native ones.
    let caller = |word: &str| match callers {
        Callers::Native => String::new(),
        Callers::Compat | Callers::All => format!(" {word:6}"),
    };
    let mut text = format!(
        "{:width$}{} {:>10} {:>8} {:>8} {:>8} {:>8} {:>8}  {SCALE}\n",
        "CALL",
        caller("CALLER"),
        "CALLS",
        "ERRORS",
        "AVERAGE",
        "50% <",
        "99% <",
        "LONGEST"
    );
    for row in rows {
        let tally = &row.tally;
        let cell = |value: Option<u64>| value.map_or("-".to_owned(), time);
        let errors = if row.has_returns { tally.errors.to_string() } else { "-".to_owned() };
        let longest = cell(Some(tally.longest).filter(|_| tally.returns > 0));
        let line = format!(
            "{:width$}{} {:>10} {errors:>8} {:>8} {:>8} {:>8} {longest:>8}  {}",
            row.call.name.as_str(),
            caller(row.call.caller()),
            tally.calls,
            cell(tally.average()),
            cell(tally.below(50)),
            cell(tally.below(99)),
            bars(tally)
        );
        text += line.trim_end();
        text.push('\n');
    }
    text
}

fn summary(rows: &[Row], seconds: f64, attached: &Attached) -> String {
    let sum = |number: fn(&Tally) -> u64| rows.iter().map(|row| number(&row.tally)).sum::<u64>();
    let (native, compat) = attached.counts();
    let counted = match attached.callers {
        Callers::Native => plural(native, "system call"),
        Callers::Compat => format!("{} of 32-bit callers", plural(compat, "system call")),
        Callers::All => {
            let native = plural(native, "system call");
            format!("{native} of native callers and {compat} of 32-bit ones")
        }
    };
    let mut text = format!(
        "{} calls, {} errors in {seconds:.1} s; {counted} counted",
        sum(|tally| tally.calls),
        sum(|tally| tally.errors),
    );
    if !attached.failures.is_empty() {
        let names: Vec<_> = attached.failures.iter().map(|(call, _)| call.to_string()).collect();
        let _ = write!(text, "; not {}, which the kernel lets nobody probe", names.join(", "));
    }
    text.push('\n');
    for row in rows.iter().filter(|row| row.has_returns && row.missed() > 0) {
        let _ = writeln!(
            text,
            "{}: {} missed, so that errors and times lack them: too many calls were in progress; \
             --max-active watches more",
            row.call,
            plural(row.missed() as usize, "return")
        );
    }
    text
}

fn plural(count: usize, thing: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{s}")
}

/// How long the calls took, a character for a factor of 4.
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
    let mut text = format!("\n{} ({})\n", row.call, row.function);
    let most = tally.took.iter().max().copied().unwrap_or(0).max(1);
    let first = tally.took.iter().position(|count| *count > 0);
    let last = tally.took.iter().rposition(|count| *count > 0);
    if let (Some(first), Some(last)) = (first, last) {
        for (bucket, count) in tally.took.iter().enumerate().take(last + 1).skip(first) {
            let bar = "█".repeat((count * 40).div_ceil(most) as usize);
            let from = time((1 << bucket) / 2);
            let _ = writeln!(text, "  {from:>8} to {:>8} {count:>10} {bar}", time(1 << bucket));
        }
    }
    for (errno, count) in &row.errnos {
        let _ = writeln!(text, "  {:20} {count:>10}", errno_name(*errno));
    }
    let unfinished = tally.unfinished();
    if row.has_returns && unfinished > 0 {
        let _ = writeln!(text, "  {:20} {unfinished:>10}", "not returned");
    }
    text
}

/// In three digits or so.
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
    use crate::count::wanted::Wanted;

    #[test]
    fn times_are_short() {
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

    fn row(name: &str, calls: u64) -> Row {
        let tally = tally(calls, 0, &[(10, calls)]);
        let call = Wanted::native(ksyscall::SyscallName::new(name).unwrap());
        let (function, errnos) = (String::new(), Vec::new());
        Row { call, function, tally, errnos, missed_by_kernel: None, has_returns: true }
    }

    #[test]
    fn what_is_live_fits_on_the_terminal() {
        let rows: Vec<_> = (0..100).map(|number| row(&format!("call{number}"), 100)).collect();
        let below = "summary\n".to_owned() + &"returns missed\n".repeat(50);
        for (width, height) in [(40, 10), (200, 50), (80, 24), (1, 1), (80, 2), (300, 300)] {
            let text = fit(&rows, Callers::Native, &below, width, height);
            let lines: Vec<_> = text.lines().collect();
            assert!(lines.len() < height.max(2), "{height}: {text}");
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}: {text}");
            if height >= 10 {
                let rows = lines.iter().filter(|line| line.starts_with("call")).count();
                assert!(rows >= height.min(100) / 2, "{text}");
                assert!(lines.contains(&"summary"), "{text}");
            }
        }
    }

    #[test]
    fn a_bar_stands_under_its_unit() {
        let place = |unit: char| SCALE.chars().position(|c| c == unit);
        // 1 to 2 µs are bucket 11; ms 21, s 31.
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
    fn few_calls_are_seen_beside_many() {
        let bars = bars(&tally(1001, 0, &[(9, 1000), (21, 1)]));
        assert_eq!(bars.trim_end(), " █     ▁");
        assert_eq!(super::bars(&tally(1, 0, &[(0, 1), (39, 1)])), "█            █");
    }
}
