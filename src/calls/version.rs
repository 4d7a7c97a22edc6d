//! Selects functions by the version of Linux, where the version decides which one serves a call.

/// Major and minor number.
pub(crate) type Version = (u64, u64);

/// Later than any that a table names.
pub(crate) const LATEST: Version = (u64::MAX, 0);
/// Later than any kernel.
pub(crate) const NEVER: Version = (u64::MAX, u64::MAX);
/// Earlier than any kernel.
#[allow(dead_code, reason = "architectures without wrappers")]
pub(crate) const ALWAYS: Version = (0, 0);

/// The function of a table's entry if it serves the call in that version; in any version if
/// none is given. The entry is a name, and perhaps `@5.1` for a function that serves since
/// that version, or `@<5.4` for one that served before.
pub(crate) fn serving(entry: &str, version: Option<Version>) -> Option<&str> {
    let Some((function, limit)) = entry.split_once('@') else { return Some(entry) };
    let serves = version.is_none_or(|version| match limit.strip_prefix('<') {
        Some(end) => version < parse(end),
        None => version >= parse(limit),
    });
    serves.then_some(function)
}

fn parse(text: &str) -> Version {
    let number = |digits: &str| digits.parse().unwrap_or_default();
    text.split_once('.').map_or((number(text), 0), |(major, minor)| (number(major), number(minor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_serves_in_the_versions_that_its_mark_allows() {
        let serves = |entry: &str, version| serving(entry, version).is_some();
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
        assert_eq!(serving("sys_semget@5.1", None), Some("sys_semget"));
        assert!(ALWAYS < (1, 0) && LATEST < NEVER);
    }
}
