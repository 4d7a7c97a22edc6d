//! Suggests known names that are similar to an unknown name.

use super::name::MAX_NAME_LEN;
use super::table::{self, Row, Table};

/// Finds up to three call names in a table, in descending order of similarity to `name`.
pub(crate) fn nearest(table: Table, name: &str) -> impl Iterator<Item = &'static str> {
    // Allow for a typo or two. A name with more differences is probably unrelated.
    let names = (1..=1 + name.len() / 6).flat_map(move |limit| {
        let names = table::rows(table).filter(Row::is_served).map(|row| row.name);
        names.filter(move |other| distance(name.as_bytes(), other.as_bytes()) == limit)
    });
    names.take(3)
}

/// Returns the minimum number of letters to insert, delete or replace to turn `a` into `b`
/// (Levenshtein distance).
fn distance(a: &[u8], b: &[u8]) -> usize {
    // `costs[i]` is the cost of turning the letters read so far from `a` into the first `i + 1`
    // letters of `b`.
    let mut costs = [0_u8; MAX_NAME_LEN];
    for (cost, letters) in costs.iter_mut().zip(1..) {
        *cost = letters;
    }
    for (letters, from) in (1..).zip(a) {
        let (mut diagonal, mut left) = (letters - 1, letters);
        for (cost, to) in costs.iter_mut().zip(b) {
            left = (diagonal + u8::from(from != to)).min(left + 1).min(*cost + 1);
            diagonal = core::mem::replace(cost, left);
        }
    }
    let last = b.len().checked_sub(1).and_then(|last| costs.get(last));
    last.map_or(a.len(), |cost| usize::from(*cost))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::table::tests::{ALIKE, SMALL, TABLES};

    fn nearest_in(table: Table, name: &str) -> Vec<&'static str> {
        nearest(table, name).collect()
    }

    #[test]
    fn suggestions_are_sorted_by_similarity() {
        assert_eq!(nearest_in(SMALL, "opnat"), ["openat"]);
        assert_eq!(nearest_in(SMALL, "sta"), ["stat"]);
        assert_eq!(nearest_in(SMALL, "mbnd"), ["mbind"]);
        assert_eq!(nearest_in(SMALL, "stat6"), ["stat"], "stat64 is not a call");
        assert!(nearest_in(SMALL, "completely_other").is_empty());
        assert_eq!(nearest_in(ALIKE, "ab"), ["abc", "abd", "abe"]);
    }

    #[test]
    fn typos_get_a_suggestion_and_other_names_do_not() {
        let (_, table) = TABLES.into_iter().find(|table| table.0 == "x86_64").unwrap();
        for (slip, meant) in [
            ("opnat", "openat"),
            ("exeve", "execve"),
            ("statt", "stat"),
            ("getpd", "getpid"),
            ("clock_getime", "clock_gettime"),
            ("epol_wait", "epoll_wait"),
            ("nanoslep", "nanosleep"),
        ] {
            assert!(nearest_in(table, slip).contains(&meant), "{slip}");
        }
        assert!(nearest_in(table, "frobnicate").is_empty());
    }

    #[test]
    fn distance_is_levenshteins() {
        for (a, b, expected) in
            [("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("stat", "stat", 0)]
        {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
        }
    }
}
