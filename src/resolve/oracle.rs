//! What must hold of names and their suggestions for every input.

use std::sync::LazyLock;

use super::SyscallName;
use super::suggestions::nearest as suggest;
use super::table::{self, Column};

/// The name that the bytes are, by the rule in `name.rs`.
fn expected_name(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let bare = text.strip_prefix("__NR_").or(text.strip_prefix("SYS_")).unwrap_or(text);
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    ((1..=64).contains(&bare.len()) && bare.chars().all(fits)).then_some(bare)
}

/// A line of the table: the call's name, the functions that serve it natively,
/// those that serve a 64-bit kernel's 32-bit processes, and whether it is marked.
type ExpectedRow = (&'static str, Vec<&'static str>, Vec<&'static str>, bool);

/// The table before it was packed, by the format in `table.rs`.
static EXPECTED_TABLE: LazyLock<Vec<ExpectedRow>> = LazyLock::new(|| {
    let line = |line: &'static str| {
        let (native, compat) = line.split_once('|').unwrap_or((line, ""));
        let mut native = native.split_whitespace();
        let name = native.next()?.split('@').next()?;
        // Without the versions in which they serve.
        let function = |entry: &'static str| entry.split('@').next();
        let native: Vec<_> = native.filter_map(function).collect();
        let compat: Vec<_> = compat.split_whitespace().filter_map(function).collect();
        let compat = if compat.is_empty() { native.clone() } else { compat };
        Some((name.trim_end_matches('?'), native, compat, name.ends_with('?')))
    };
    let table = include_str!(concat!(env!("OUT_DIR"), "/table.txt"));
    table.lines().filter(|line| !line.starts_with('#')).filter_map(line).collect()
});

fn is_served((_, native, ..): &ExpectedRow) -> bool {
    !native.first().is_some_and(|first| first.starts_with(['-', '=']))
}

/// The name without `sys_`.
fn bare_name(name: &str) -> &str {
    name.strip_prefix("sys_").filter(|bare| !bare.is_empty()).unwrap_or(name)
}

/// The row of the call, by the rules in `table.rs`.
fn expected_row(name: &str) -> Option<&'static ExpectedRow> {
    let named = |name: &str| EXPECTED_TABLE.iter().find(|row| row.0 == name);
    let row = named(name).or(named(bare_name(name)))?;
    match row.1.first().and_then(|first| first.strip_prefix('=')) {
        Some(call) => named(call),
        None => Some(row),
    }
}

/// The functions that may serve the call.
fn expected_functions(name: &str, column: Column) -> Vec<String> {
    let Some((name, native, compat, _)) = expected_row(name) else {
        return vec![format!("sys_{}", bare_name(name))];
    };
    let listed = if column == Column::Native { native } else { compat };
    match listed[..] {
        [] => vec![format!("sys_{name}")],
        ["-"] => Vec::new(),
        _ => listed.iter().map(|function| function.to_string()).collect(),
    }
}

/// The parts of a function's name, put together.
pub(crate) fn joined((sys, rest): (&[u8], &[u8])) -> String {
    String::from_utf8([sys, rest].concat()).unwrap()
}

/// Names: what is accepted, the table's functions for it, and the symbols.
pub fn name(bytes: &[u8]) {
    let expected = expected_name(bytes);
    let name = SyscallName::from_bytes(bytes).ok();
    assert_eq!(name.as_ref().map(SyscallName::as_str), expected);
    let (Some(name), Some(expected)) = (name, expected) else {
        return;
    };

    let row = table::row(&name);
    for column in [Column::Native, Column::Compat] {
        let functions = (0..).map_while(|rank| row.function(column, rank));
        let functions: Vec<_> = functions.map(joined).collect();
        assert_eq!(functions, expected_functions(expected, column), "{name}");
    }

    let is_marked = expected_row(expected).is_none_or(|(.., is_marked)| *is_marked);
    assert_eq!(row.may_be_absent(), is_marked, "{name}");

    let mut symbols = Vec::new();
    for convention in super::conventions::CONVENTIONS {
        for symbol in convention.symbols(&row) {
            assert_eq!(symbol.as_c_str().to_str(), Ok(symbol.as_str()));
            symbols.push(symbol.to_string());
        }
    }
    let is_one = |c: char| c.is_ascii_alphanumeric() || c == '_';
    assert!(symbols.iter().all(|symbol| symbol.chars().all(is_one)), "{symbols:?}");
    if cfg!(target_arch = "x86_64") {
        let functions = expected_functions(expected, Column::Native);
        let wrapped = functions.iter().map(|function| format!("__x64_{function}"));
        let plain = match expected_row(expected) {
            Some(_) => functions.clone(),
            None => ["__se_sys_", "SyS_", "sys_"]
                .map(|start| format!("{start}{}", bare_name(expected)))
                .into(),
        };
        assert_eq!(symbols, wrapped.chain(plain).collect::<Vec<_>>());
    }
}

/// The Levenshtein distance of two names.
fn expected_distance(a: &[u8], b: &[u8]) -> usize {
    let mut costs: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, from) in a.iter().enumerate() {
        let above = &costs[i];
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let changed = above[j] + usize::from(from != to);
            row.push(changed.min(above[j + 1] + 1).min(row[j] + 1));
        }
        costs.push(row);
    }
    costs[a.len()][b.len()]
}

/// The names that are proposed for a call that there is not.
pub fn nearest(bytes: &[u8]) {
    let Ok(name) = SyscallName::from_bytes(bytes) else {
        return;
    };
    let text = name.as_str();
    let limit = 1 + text.len() / 6;
    let mut expected: Vec<_> = EXPECTED_TABLE
        .iter()
        .filter(|row| is_served(row) && row.0.len().abs_diff(text.len()) <= limit)
        .map(|row| (expected_distance(text.as_bytes(), row.0.as_bytes()), row.0))
        .filter(|(distance, _)| (1..=limit).contains(distance))
        .collect();
    // Stable: of equally near ones the table's first.
    expected.sort_by_key(|(distance, _)| *distance);
    let expected: Vec<_> = expected.into_iter().map(|(_, name)| name).take(3).collect();
    let mut nearest = Vec::new();
    suggest(&name, &mut |near| nearest.push(String::from_utf8(near.into()).unwrap()));
    assert_eq!(nearest, expected, "{name}");
}
