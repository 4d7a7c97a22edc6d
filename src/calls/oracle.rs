//! Tests the name check and the suggestions with arbitrary input.

use super::SyscallName;
use super::suggestions::nearest as suggest;
use super::table::{self, TABLE};

/// Returns the name that the bytes represent, according to the rule in `name.rs`.
fn expected_name(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let bare = text.strip_prefix("__NR_").or(text.strip_prefix("SYS_")).unwrap_or(text);
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    ((1..=64).contains(&bare.len()) && bare.chars().all(fits)).then_some(bare)
}

/// Checks which names are accepted, and that symbols contain only letters, digits and underscores.
pub fn name(bytes: &[u8]) {
    let expected = expected_name(bytes);
    let name = SyscallName::from_bytes(bytes).ok();
    assert_eq!(name.as_ref().map(SyscallName::as_str), expected);
    let Some(name) = name else {
        return;
    };
    let row = table::row(&name);
    let is_one = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for convention in super::conventions::CONVENTIONS {
        for symbol in convention.symbols(&row) {
            assert_eq!(symbol.as_c_str().to_str(), Ok(symbol.as_str()));
            assert!(symbol.as_str().chars().all(is_one), "{symbol}");
        }
    }
}

/// Returns the Levenshtein distance between two names.
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

/// Checks the names suggested for a call that does not exist.
pub fn nearest(bytes: &[u8]) {
    let Ok(name) = SyscallName::from_bytes(bytes) else {
        return;
    };
    let text = name.as_str();
    let limit = 1 + text.len() / 6;
    let mut expected: Vec<_> = table::rows(TABLE)
        .filter(|row| row.is_served() && row.name.len().abs_diff(text.len()) <= limit)
        .map(|row| (expected_distance(text.as_bytes(), row.name.as_bytes()), row.name))
        .filter(|(distance, _)| (1..=limit).contains(distance))
        .collect();
    // The sort is stable: equally similar names stay in the order of the table.
    expected.sort_by_key(|(distance, _)| *distance);
    let expected: Vec<_> = expected.into_iter().map(|(_, name)| name).take(3).collect();
    let nearest: Vec<_> = suggest(TABLE, name.as_str()).collect();
    assert_eq!(nearest, expected, "{name}");
}
