//! Builds and parses text in fixed memory: tracefs commands, paths, messages.

#[cfg(any(test, fuzzing))]
pub(crate) mod oracle;

use core::ffi::CStr;
use core::ops::{Deref, DerefMut};

/// What stands before and after the first `separator`.
pub(crate) fn cut(text: &[u8], separator: u8) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == separator).unwrap_or(text.len());
    let (head, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    (head, rest.get(1..).unwrap_or_default())
}

/// The parts of `text` between separators, without the empty ones.
pub(crate) fn parts(text: &[u8], separator: u8) -> Parts<'_> {
    Parts { rest: text, separator }
}

/// What [`parts`] gives.
#[derive(Clone)]
pub(crate) struct Parts<'a> {
    rest: &'a [u8],
    separator: u8,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
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
pub(crate) fn number(text: &[u8], base: u8) -> Option<u64> {
    let mut digits = text.iter().map(|byte| byte.wrapping_sub(b'0'));
    let number = digits.try_fold(0_u64, |number, digit| {
        let digit = Some(digit).filter(|digit| *digit < base)?;
        number.checked_mul(u64::from(base))?.checked_add(u64::from(digit))
    });
    number.filter(|_| !text.is_empty())
}

/// The hash FNV-1a of a name.
pub(crate) const fn hash(name: &[u8]) -> usize {
    let (mut hash, mut at) = (0xcbf2_9ce4_8422_2325_u64, 0);
    while at < name.len() {
        hash = (hash ^ name[at] as u64).wrapping_mul(0x100_0000_01b3);
        at += 1;
    }
    hash as usize
}

/// Text of at most `N` - 1 bytes, kept as a C string; C has it in `struct answer`.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct Text<const N: usize>(Buffer<[u8; N]>);

/// A [`Text`] of any size, for one copy of the code.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Buffer<Bytes: ?Sized = [u8]> {
    len: usize,
    is_cut: bool,
    bytes: Bytes,
}

impl<const N: usize> Text<N> {
    pub(crate) const fn new() -> Self {
        Self(Buffer { len: 0, is_cut: false, bytes: [0; N] })
    }
}

impl<const N: usize> Deref for Text<N> {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        &self.0
    }
}

impl<const N: usize> DerefMut for Text<N> {
    fn deref_mut(&mut self) -> &mut Buffer {
        &mut self.0
    }
}

impl core::fmt::Write for Buffer {
    /// Adds as much as fits.
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.add(text.as_bytes());
        Ok(())
    }
}

impl Buffer {
    /// Adds a byte if it fits.
    pub(crate) fn push(&mut self, byte: u8) {
        let end = self.bytes.len().saturating_sub(1);
        let room = self.bytes.get_mut(self.len..end).unwrap_or_default();
        if let Some(place) = room.first_mut() {
            *place = byte;
            self.len += 1;
        } else {
            self.is_cut = true;
        }
    }

    /// Adds as much of `text` as fits.
    pub(crate) fn add(&mut self, text: &[u8]) {
        text.iter().for_each(|byte| self.push(*byte));
    }

    /// Adds a number in decimal digits.
    pub(crate) fn add_number(&mut self, number: u64) {
        if number > 9 {
            self.add_number(number / 10);
        }
        self.push(b'0' + (number % 10) as u8);
    }

    /// Whether something that was added did not fit.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Adds a last byte, in place of another if there is no room.
    #[cfg(feature = "capi")]
    pub(crate) fn end_with(&mut self, byte: u8) {
        self.len = self.len.min(self.bytes.len().saturating_sub(2));
        self.push(byte);
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_and_parts() {
        assert_eq!(cut(b"stat sys_newstat", b' '), (&b"stat"[..], &b"sys_newstat"[..]));
        assert_eq!(cut(b"stat", b' '), (&b"stat"[..], &b""[..]));
        assert_eq!(cut(b"", b' '), (&b""[..], &b""[..]));
        assert_eq!(parts(b" a  bc d ", b' ').collect::<Vec<_>>(), [&b"a"[..], b"bc", b"d"]);
        assert_eq!(parts(b"", b' ').next(), None);
    }

    #[test]
    fn numbers() {
        assert_eq!(number(b"4194304", 10), Some(4_194_304));
        assert_eq!(number(b"18446744073709551615", 10), Some(u64::MAX));
        assert_eq!(number(b"040", 8), Some(0o40));
        for text in ["", "18446744073709551616", "-1", "1 ", "0x1", "a"] {
            assert_eq!(number(text.as_bytes(), 10), None, "{text}");
        }
        assert_eq!(number(b"8", 8), None);
    }

    #[test]
    fn decimals() {
        for number in [0, 9, 10, 4_194_304, u64::MAX] {
            let mut text = Text::<32>::new();
            text.add_number(number);
            assert_eq!(text.as_bytes(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn text_takes_what_fits_and_stays_a_c_string() {
        let mut text = Text::<8>::new();
        text.add(b"1234567");
        assert!(!text.is_cut());
        assert_eq!(text.as_c_str(), c"1234567");
        text.push(b'8');
        assert!(text.is_cut());
        assert_eq!((text.as_bytes(), text.as_c_str()), (&b"1234567"[..], c"1234567"));
    }
}
