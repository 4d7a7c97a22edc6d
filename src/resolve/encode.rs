//! Packs a syscall table for the library: a third of its text, and a call is found in it
//! by few instructions. For the build script and the tests; `packed.rs` reads it.
//!
//! The lines that begin with one letter are a block, and each line is packed by itself. It
//! goes without the bytes that it has in common with the line before, and without a line
//! end. Then, for as long as it pays, the two bytes that follow each other most often in
//! the lines become a new one, of those that no table has.
//!
//! The result is the number of these pairs, what each stands for, and the blocks:
//!
//! ```text
//! block   letter, length of the lines (2 bytes, low one first), lines
//! line    bytes in common * 8 + length of the rest, rest
//! line    bytes in common * 8, length of the rest, rest      if that is not 1 to 7
//! ```

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// A line as it is packed: `getuid32 =getuid` becomes `getuid32 =2`, its name without the
/// last two letters.
pub(crate) fn shortened(line: &str) -> String {
    let cut_name = |name: &str, rest: &str| {
        let call = rest.strip_prefix('=')?;
        let (call, after) = call.split_at(call.find(' ').unwrap_or(call.len()));
        let cut = name.strip_prefix(call).filter(|cut| cut.len() < 10)?.len();
        Some(format!("{name} ={cut}{after}"))
    };
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    cut_name(name, rest).unwrap_or_else(|| line.to_owned())
}

/// What can be in a table.
const BYTES: RangeInclusive<u8> = b' '..=b'|';

/// The bytes that pairs become, in order.
fn new_bytes() -> impl Iterator<Item = u8> {
    (BYTES.end() + 1..=u8::MAX).chain(0..*BYTES.start())
}

/// The lines of a table that begin with one letter.
struct Block {
    letter: u8,
    /// Each as the number of bytes that it has in common with the line before, which is the
    /// letter for the first, and the rest.
    lines: Vec<(u8, Vec<u8>)>,
}

/// The blocks of a table, without its comments.
fn blocks(table: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut previous = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let line = shortened(line).into_bytes();
        assert!(line.iter().all(|byte| BYTES.contains(byte)));
        if previous.first() != line.first() {
            previous = vec![line[0]];
            blocks.push(Block { letter: line[0], lines: Vec::new() });
        }
        let same = line.iter().zip(&previous).take_while(|(a, b)| a == b).count().min(31);
        let block = blocks.last_mut().expect("that of the letter");
        block.lines.push((same as u8, line[same..].to_vec()));
        previous = line;
    }
    blocks
}

/// Packs a table.
pub(crate) fn encode(table: &str) -> Vec<u8> {
    let mut blocks = blocks(table);
    let mut pairs = Vec::new();
    for new in new_bytes() {
        let mut counts = BTreeMap::new();
        for (_, line) in blocks.iter().flat_map(|block| &block.lines) {
            for pair in line.windows(2) {
                *counts.entry([pair[0], pair[1]]).or_insert(0) += 1;
            }
        }
        // Of equally frequent ones the last in order: the result depends on the table alone.
        let Some((pair, 4..)) = counts.into_iter().max_by_key(|(_, count)| *count) else {
            break;
        };
        for (_, line) in blocks.iter_mut().flat_map(|block| &mut block.lines) {
            *line = with_pair(line, pair, new);
        }
        pairs.push(pair);
    }
    let mut packed = [&[pairs.len() as u8], pairs.as_flattened()].concat();
    for Block { letter, lines } in blocks {
        let lines: Vec<u8> = lines.iter().flat_map(|(same, line)| with_head(*same, line)).collect();
        packed.push(letter);
        packed.extend(u16::try_from(lines.len()).expect("a table is short").to_le_bytes());
        packed.extend(lines);
    }
    packed
}

/// The line as it stands in its block.
fn with_head(same: u8, line: &[u8]) -> Vec<u8> {
    match u8::try_from(line.len()).expect("a line is short") {
        len @ 1..8 => [&[same * 8 + len], line].concat(),
        len => [&[same * 8, len], line].concat(),
    }
}

/// The line with a new byte for each pair.
fn with_pair(line: &[u8], pair: [u8; 2], new: u8) -> Vec<u8> {
    let mut rest = line;
    let mut packed = Vec::new();
    while let [byte, after @ ..] = rest {
        let is_pair = rest.starts_with(&pair);
        packed.push(if is_pair { new } else { *byte });
        rest = if is_pair { &rest[2..] } else { after };
    }
    packed
}
