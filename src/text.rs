//! Builds text (tracefs commands, paths and messages) in buffers of a fixed size, and parses text.

use core::ffi::CStr;

/// Returns the text before and the text after the first `separator`.
pub(crate) fn cut(text: &[u8], separator: u8) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == separator).unwrap_or(text.len());
    let (head, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    (head, rest.get(1..).unwrap_or_default())
}

/// Returns the parts of `text` between separators, without empty parts.
pub(crate) fn parts(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    text.split(move |byte| *byte == separator).filter(|part| !part.is_empty())
}

/// Parses a number that consists only of digits in `base`.
pub(crate) fn number(text: &[u8], base: u32) -> Option<u64> {
    let number = text.iter().try_fold(0_u64, |number, byte| {
        let digit = char::from(*byte).to_digit(base)?;
        number.checked_mul(base.into())?.checked_add(digit.into())
    });
    number.filter(|_| !text.is_empty())
}

/// Returns the FNV-1a hash of a name.
pub(crate) const fn hash(name: &[u8]) -> usize {
    let (mut hash, mut at) = (0xcbf2_9ce4_8422_2325_u64, 0);
    while at < name.len() {
        hash = (hash ^ name[at] as u64).wrapping_mul(0x100_0000_01b3);
        at += 1;
    }
    hash as usize
}

/// Text of at most `N` - 1 bytes, stored as a C string. `struct answer` in C contains a `Text`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Text<const N: usize> {
    len: usize,
    is_cut: bool,
    bytes: [u8; N],
}

impl<const N: usize> core::fmt::Write for Text<N> {
    /// Appends as much of the text as fits.
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.add(text.as_bytes());
        Ok(())
    }
}

impl<const N: usize> Text<N> {
    pub(crate) const fn new() -> Self {
        Self { len: 0, is_cut: false, bytes: [0; N] }
    }

    /// Appends a byte if it fits.
    pub(crate) fn push(&mut self, byte: u8) {
        match self.bytes.get_mut(self.len).filter(|_| self.len + 1 < N) {
            Some(place) => {
                *place = byte;
                self.len += 1;
            }
            None => self.is_cut = true,
        }
    }

    /// Appends as much of `text` as fits.
    pub(crate) fn add(&mut self, text: &[u8]) {
        text.iter().for_each(|byte| self.push(*byte));
    }

    /// Appends a number in decimal.
    pub(crate) fn add_number(&mut self, number: u64) {
        if number > 9 {
            self.add_number(number / 10);
        }
        self.push(b'0' + (number % 10) as u8);
    }

    /// Returns whether anything was left out because it did not fit.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Adds a final byte. If the text is full, the new byte replaces the last byte of the text.
    #[cfg(feature = "capi")]
    pub(crate) fn end_with(&mut self, byte: u8) {
        self.len = self.len.min(N - 2);
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
