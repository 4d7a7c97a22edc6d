//! Packs a syscall table for the library: a third of its text, and read by few
//! instructions. For the build script and the tests; `table.rs` reads it.
//!
//! Each line begins with a byte less than 32, which says how much of the line before
//! it begins with as well, and goes without a line end. Then, for as long as it pays,
//! the two bytes that follow each other most often become a new one, from 128 on. The
//! result is the number of these, what each stands for, and the text.

use std::collections::BTreeMap;

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

/// Packs the lines of a table, without its comments.
pub(crate) fn encode(table: &str) -> Vec<u8> {
    let mut text = Vec::new();
    let mut previous = String::new();
    for line in table.lines().filter(|line| !line.starts_with('#')).map(shortened) {
        let same = line.bytes().zip(previous.bytes()).take_while(|(a, b)| a == b).count().min(31);
        text.push(same as u8);
        text.extend(&line.as_bytes()[same..]);
        previous = line;
    }
    let mut pairs = Vec::new();
    for new in 128..=u8::MAX {
        let mut counts = BTreeMap::new();
        for pair in text.windows(2) {
            *counts.entry([pair[0], pair[1]]).or_insert(0) += 1;
        }
        // Of equally frequent ones the last in order: the result depends on the table alone.
        let Some((pair, 4..)) = counts.into_iter().max_by_key(|(_, count)| *count) else {
            break;
        };
        let mut rest = &text[..];
        let mut packed = Vec::new();
        while let [byte, after @ ..] = rest {
            let is_pair = rest.starts_with(&pair);
            packed.push(if is_pair { new } else { *byte });
            rest = if is_pair { &rest[2..] } else { after };
        }
        text = packed;
        pairs.push(pair);
    }
    [&[pairs.len() as u8], pairs.as_flattened(), &text].concat()
}
