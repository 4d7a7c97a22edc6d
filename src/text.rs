//! Text without an allocator: tables, tracefs commands, paths, warnings.
//!
//! What is here does less than the standard library's, in a tenth of the code.

use core::ffi::CStr;
use core::fmt::{self, Write};

/// What stands before and behind the first `separator`.
pub(crate) fn cut(text: &str, separator: u8) -> (&str, &str) {
    let end = text.bytes().position(|byte| byte == separator).unwrap_or(text.len());
    let (head, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    (head, rest.get(1..).unwrap_or_default())
}

/// The parts of `text` between separators, without the empty ones.
pub(crate) fn parts(text: &str, separator: u8) -> Parts<'_> {
    Parts { rest: text, separator }
}

/// What [`parts`] gives.
#[derive(Clone)]
pub(crate) struct Parts<'a> {
    rest: &'a str,
    separator: u8,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    #[inline(never)]
    fn next(&mut self) -> Option<&'a str> {
        while !self.rest.is_empty() {
            let (part, rest) = cut(self.rest, self.separator);
            self.rest = rest;
            if !part.is_empty() {
                return Some(part);
            }
        }
        None
    }
}

/// The number that `text` is, in digits of `base`.
pub(crate) fn number(text: &str, base: u8) -> Option<u64> {
    let mut digits = text.bytes().map(|byte| byte.wrapping_sub(b'0'));
    let number = digits.try_fold(0_u64, |number, digit| {
        let digit = Some(digit).filter(|digit| *digit < base)?;
        number.checked_mul(u64::from(base))?.checked_add(u64::from(digit))
    });
    number.filter(|_| !text.is_empty())
}

/// A number in decimal digits.
pub(crate) struct Decimal(pub(crate) u64);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 9 {
            Decimal(self.0 / 10).fmt(f)?;
        }
        f.write_char(char::from(b'0' + (self.0 % 10) as u8))
    }
}

/// Text as it is: `str` can be padded, at the cost of 1 KiB of code.
pub(crate) struct Plain<'a>(pub(crate) &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Text of at most `N` - 1 bytes, kept as a C string. What does not fit is an
/// error of the `write!` that brought it.
pub(crate) struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    /// Adds a byte if it fits.
    pub(crate) fn push(&mut self, byte: u8) {
        let room = self.bytes.get_mut(self.len..N.saturating_sub(1)).unwrap_or_default();
        if let Some(place) = room.first_mut() {
            *place = byte;
            self.len += 1;
        }
    }

    /// Adds a last byte, in place of another if there is no room.
    #[cfg(feature = "capi")]
    pub(crate) fn end_with(&mut self, byte: u8) {
        self.len = self.len.min(N.saturating_sub(2));
        self.push(byte);
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(crate) fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    /// Takes as much as fits.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = self.len + text.len() < N;
        text.bytes().for_each(|byte| self.push(byte));
        if fits { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_and_parts() {
        assert_eq!(cut("stat sys_newstat", b' '), ("stat", "sys_newstat"));
        assert_eq!(cut("stat", b' '), ("stat", ""));
        assert_eq!(cut("", b' '), ("", ""));
        assert_eq!(parts(" a  bc d ", b' ').collect::<Vec<_>>(), ["a", "bc", "d"]);
        assert_eq!(parts("", b' ').next(), None);
    }

    #[test]
    fn numbers() {
        assert_eq!(number("4194304", 10), Some(4_194_304));
        assert_eq!(number("18446744073709551615", 10), Some(u64::MAX));
        assert_eq!(number("040", 8), Some(0o40));
        for text in ["", "18446744073709551616", "-1", "1 ", "0x1", "a"] {
            assert_eq!(number(text, 10), None, "{text}");
        }
        assert_eq!(number("8", 8), None);
    }

    #[test]
    fn decimals() {
        for number in [0, 9, 10, 4_194_304, u64::MAX] {
            assert_eq!(Decimal(number).to_string(), number.to_string());
        }
    }

    #[test]
    fn text_takes_what_fits_and_stays_a_c_string() {
        let mut text = Text::<8>::new();
        assert!(write!(text, "1234567").is_ok());
        assert_eq!(text.as_c_str(), c"1234567");
        let mut text = Text::<8>::new();
        assert!(write!(text, "12345678").is_err());
        assert_eq!(text.as_str(), "1234567");
        text.push(b'9');
        assert_eq!(text.as_c_str(), c"1234567");
    }
}
