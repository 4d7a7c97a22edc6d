//! Selects the functions that serve a call in a given version of Linux.

use crate::text::{cut, number};

/// A Linux version: the major and the minor number.
pub(crate) type Version = (u64, u64);

/// Later than any version in a table.
pub(crate) const LATEST: Version = (u64::MAX, 0);
/// Later than any kernel.
pub(crate) const NEVER: Version = (u64::MAX, u64::MAX);
/// Earlier than any kernel.
#[allow(dead_code, reason = "architectures without wrappers")]
pub(crate) const ALWAYS: Version = (0, 0);

/// Returns the function named in `entry`, and whether the function serves the call in that version
/// (in any version if `version` is None). The second result is None if the answer depends on the
/// stable update and the update is unknown.
///
/// The entry is the name of a function, optionally with a limit: `@5.1` for a function that serves
/// the call since that version, `@<5.4` for a function that served the call before that version, or
/// `@5.10.221,6.1.97,6.10` for a function that serves the call since these stable updates and since
/// 6.10.
pub(crate) fn serving(
    entry: &str,
    version: Option<Version>,
    update: Option<u64>,
) -> (&str, Option<bool>) {
    let (function, limit) = cut(entry.as_bytes(), b'@');
    let function = entry.get(..function.len()).unwrap_or(entry);
    let serves = match (version, limit) {
        (None, _) | (_, []) => Some(true),
        (Some(version), [b'<', end @ ..]) => Some(version < parse(end).0),
        (Some(version), _) => serves_since(limit, version, update),
    };
    (function, serves)
}

/// Returns whether the kernel is new enough: at or after the listed update of its own stable
/// series, or at or after the last version in the list. Returns None if the answer depends on the
/// update and the update is unknown.
fn serves_since(list: &[u8], version: Version, update: Option<u64>) -> Option<bool> {
    let mut rest = list;
    let mut has_update = false;
    loop {
        let (entry, after) = cut(rest, b',');
        let (series, first) = parse(entry);
        if after.is_empty() {
            let is_later = version >= series;
            // If the list contains only one version, the update does not matter.
            let is_known = is_later || rest.len() == list.len() || update.is_some();
            return is_known.then_some(is_later || has_update);
        }
        has_update |= series == version && update >= Some(first);
        rest = after;
    }
}

/// Parses a version and its stable update. The update is 0 if the text contains none.
pub(crate) fn parse(text: &[u8]) -> (Version, u64) {
    let (major, rest) = cut(text, b'.');
    let (minor, update) = cut(rest, b'.');
    let number = |digits| number(digits, 10).unwrap_or_default();
    ((number(major), number(minor)), number(update))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_select_the_versions_of_a_function() {
        let serves = |entry: &str, version| serving(entry, version, None).1 == Some(true);
        for (entry, expected) in [
            ("sys_openat", [true; 6]),
            ("sys_semget@5.1", [false, false, true, true, true, true]),
            ("sys_rt_sigsuspend@<5.4", [true, true, true, false, false, false]),
            ("compat_sys_setsockopt@<5.10", [true, true, true, true, true, false]),
        ] {
            let versions = [(4, 4), (5, 0), (5, 1), (5, 4), (5, 9), LATEST];
            assert_eq!(versions.map(|version| serves(entry, Some(version))), expected, "{entry}");
            assert!(serves(entry, None), "{entry}");
        }
        assert_eq!(serving("sys_semget@5.1", None, None), ("sys_semget", Some(true)));
        assert!(ALWAYS < (1, 0) && LATEST < NEVER);
    }

    #[test]
    fn limits_can_be_stable_updates() {
        for (version, update, expected) in [
            ((5, 10), Some(220), Some(false)),
            ((5, 10), Some(221), Some(true)),
            ((6, 1), Some(221), Some(true)),
            ((6, 1), Some(96), Some(false)),
            // No update of 5.4 contains the change.
            ((5, 4), Some(302), Some(false)),
            ((6, 1), None, None),
            ((5, 14), None, None),
            ((6, 10), None, Some(true)),
            (LATEST, None, Some(true)),
        ] {
            let serves = serving("sys_x@5.10.221,6.1.97,6.10", Some(version), update).1;
            assert_eq!(serves, expected, "{version:?} {update:?}");
        }
    }
}
