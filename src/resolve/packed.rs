//! Reads a syscall table as `encode.rs` packs it.
//!
//! In front of a block of lines, and of a line, stands how long it is, and what it has in
//! common with those before, so that a line is found without unpacking the others.

/// The bytes from here on, and then those from 0 on, stand for pairs of bytes, as many
/// as there are. The others are themselves.
const FIRST_PAIR: u8 = b'|' + 1;

/// What the pairs of a packed table stand for.
pub(super) struct Pairs<'a>(&'a [u8]);

/// The blocks of a packed table that are not read yet.
pub(super) struct Blocks<'a>(&'a [u8]);

/// The lines of a block that are not read yet.
pub(super) struct Lines<'a>(&'a [u8]);

/// A line as it is packed.
pub(super) struct Line<'a> {
    /// How many bytes it has in common with the line before, or with its block's letter.
    pub(super) same: usize,
    /// What comes after these.
    pub(super) packed: &'a [u8],
}

/// The two parts of a packed table.
pub(super) fn open(table: &[u8]) -> (Pairs<'_>, Blocks<'_>) {
    let (count, rest) = table.split_first().unwrap_or((&0, &[]));
    let (pairs, blocks) = rest.split_at_checked(2 * usize::from(*count)).unwrap_or_default();
    (Pairs(pairs), Blocks(blocks))
}

impl<'a> Iterator for Blocks<'a> {
    /// The letter that the lines begin with, and the lines.
    type Item = (u8, Lines<'a>);

    fn next(&mut self) -> Option<(u8, Lines<'a>)> {
        let ([letter, len @ ..], rest) = self.0.split_first_chunk::<3>()?;
        let (lines, rest) = rest.split_at_checked(u16::from_le_bytes(*len).into())?;
        self.0 = rest;
        Some((*letter, Lines(lines)))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let (head, mut rest) = self.0.split_first()?;
        let mut len = head % 8;
        if len == 0 {
            (len, rest) = rest.split_first().map(|(len, rest)| (*len, rest))?;
        }
        let (packed, rest) = rest.split_at_checked(len.into())?;
        self.0 = rest;
        Some(Line { same: usize::from(head / 8), packed })
    }
}

impl Pairs<'_> {
    /// Calls `goes_on` with each byte that the packed ones stand for, until it returns false.
    /// Returns whether it never did.
    pub(super) fn unpack(&self, packed: &[u8], goes_on: &mut dyn FnMut(u8) -> bool) -> bool {
        packed.iter().all(|byte| {
            let place = 2 * usize::from(byte.wrapping_sub(FIRST_PAIR));
            match self.0.get(place..place + 2) {
                Some(pair) => self.unpack(pair, goes_on),
                None => goes_on(*byte),
            }
        })
    }
}
