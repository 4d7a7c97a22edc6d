//! Checks the name of a system call before the name is used.
//!
//! A name becomes part of a kernel symbol and, on kernels without a kprobe PMU, of a line of text
//! written to tracefs. The check therefore also ensures that a name cannot contain a second tracefs
//! command.

use core::fmt;

/// Maximum length of a name, in bytes.
pub const MAX_NAME_LEN: usize = 64;

/// The name of a system call: 1 to 64 bytes of `a`-`z`, `0`-`9` and `_`.
///
/// The spellings `__NR_openat` and `SYS_openat` from the C headers are accepted and stand for
/// `openat`. The prefix does not count towards the length. `sys_openat` also stands for `openat`,
/// unless a call is named exactly `sys_openat`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SyscallName {
    bytes: [u8; MAX_NAME_LEN],
    len: u8,
}

impl SyscallName {
    /// Checks `name`.
    ///
    /// # Errors
    /// Returns [`InvalidName`] if the name is empty, is longer than [`MAX_NAME_LEN`] or contains a
    /// character that is not allowed.
    pub const fn new(name: &str) -> Result<Self, InvalidName> {
        Self::from_bytes(name.as_bytes())
    }

    /// Does the same as [`SyscallName::new`] for bytes, which need not be valid UTF-8.
    ///
    /// # Errors
    /// Returns the same error as [`SyscallName::new`].
    pub const fn from_bytes(given: &[u8]) -> Result<Self, InvalidName> {
        let name = match given {
            [b'_', b'_', b'N', b'R', b'_', rest @ ..] => rest,
            [b'S', b'Y', b'S', b'_', rest @ ..] => rest,
            _ => given,
        };
        if name.is_empty() || name.len() > MAX_NAME_LEN {
            return Err(InvalidName::new(given));
        }
        let mut bytes = [0; MAX_NAME_LEN];
        let mut i = 0;
        while i < name.len() {
            if !matches!(name[i], b'a'..=b'z' | b'0'..=b'9' | b'_') {
                return Err(InvalidName::new(given));
            }
            bytes[i] = name[i];
            i += 1;
        }
        Ok(Self { bytes, len: name.len() as u8 })
    }

    /// Returns the name, without `__NR_` or `SYS_`.
    pub fn as_str(&self) -> &str {
        // Only ASCII is stored, so the fallback is never used.
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Display for SyscallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SyscallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The error for a string that is not a valid syscall name. The error message shows the start of
/// the string, up to the length of the longest valid name.
#[derive(Clone, Copy, thiserror::Error)]
#[error(
    "'{}{}': {}",
    self.start().escape_ascii(), if self.len > Self::SHOWN { "..." } else { "" }, Self::RULE
)]
pub struct InvalidName {
    start: [u8; Self::SHOWN],
    len: usize,
}

impl InvalidName {
    /// Maximum number of bytes to store from the string.
    pub(crate) const SHOWN: usize = MAX_NAME_LEN + "__NR_".len();
    pub(crate) const RULE: &str =
        "a syscall name consists of 1 to 64 characters from a-z, 0-9 and _";

    const fn new(given: &[u8]) -> Self {
        let mut start = [0; Self::SHOWN];
        let mut i = 0;
        while i < given.len() && i < start.len() {
            start[i] = given[i];
            i += 1;
        }
        Self { start, len: given.len() }
    }

    fn start(&self) -> &[u8] {
        self.start.get(..self.len).unwrap_or(&self.start)
    }
}

impl fmt::Debug for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_syscall_names() {
        for name in ["openat", "_llseek", "fstat64", "a", &"x".repeat(64)] {
            assert_eq!(SyscallName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn the_headers_spellings_stand_for_the_name() {
        assert_eq!(SyscallName::new("__NR_openat").unwrap().as_str(), "openat");
        assert_eq!(SyscallName::new("SYS_openat").unwrap().as_str(), "openat");
    }

    #[test]
    fn refuses_other_names() {
        let long = "x".repeat(65);
        for name in [
            "", &long, "Openat", "open at", "openat\n", "../x", "x+0x10", "é", "__NR_", "SYS_",
            "a\0",
        ] {
            assert!(SyscallName::new(name).is_err(), "{name:?}");
        }
        assert!(SyscallName::from_bytes(b"open\xff").is_err());
    }
}
