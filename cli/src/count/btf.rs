//! Reads the offset of a struct member from the kernel's types (BTF, Documentation/bpf/btf.rst).
//!
//! aya could use these types to relocate the programs, but it parses all of them. Parsing takes
//! longer than everything else that `count` does during startup.

/// The kernel's types.
pub(super) const FILE: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;
const STRUCT: u32 = 4;
/// The size of the entry for a type, in bytes, without the kind-specific data.
const TYPE: usize = 12;
/// The size of the entry for a struct's member, in bytes.
const MEMBER: usize = 12;

/// The offset of a member in a struct, in bytes. Returns None if the file does not define the
/// member or has an unexpected format.
pub(super) fn offset_of(file: &[u8], structure: &str, member: &str) -> Option<u32> {
    if u16::from_ne_bytes(file.get(..2)?.try_into().ok()?) != MAGIC {
        return None;
    }
    let header = |index: usize| Some(word(file, 4 + 4 * index)? as usize);
    let section = |offset: usize, length: usize| {
        let start = header(0)?.checked_add(offset)?;
        file.get(start..start.checked_add(length)?)
    };
    let mut types = section(header(1)?, header(2)?)?;
    let strings = section(header(3)?, header(4)?)?;
    let is_called = |name: u32, wanted: &str| {
        let text = strings.get(name as usize..)?.strip_prefix(wanted.as_bytes())?;
        Some(text.first() == Some(&0))
    };
    while !types.is_empty() {
        let (name, info) = (word(types, 0)?, word(types, 4)?);
        let (kind, count) = (info >> 24 & 0x1f, info as usize & 0xffff);
        let (whole, rest) = types.split_at_checked(TYPE + size_of_data(kind, count)?)?;
        types = rest;
        if kind != STRUCT || is_called(name, structure) != Some(true) {
            continue;
        }
        let members = whole.get(TYPE..)?.chunks_exact(MEMBER);
        let mut found = members
            .filter(|each| word(each, 0).and_then(|name| is_called(name, member)) == Some(true));
        // In a struct with bit fields, the upper byte of the offset is the bit field's size.
        return found.next().and_then(|each| Some((word(each, 8)? & 0xff_ffff) / 8));
    }
    None
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The size of the kind-specific data that follows a type. None for an unknown kind.
fn size_of_data(kind: u32, count: usize) -> Option<usize> {
    Some(match kind {
        // PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FLOAT, TYPE_TAG.
        2 | 7..=12 | 16 | 18 => 0,
        // INT, VAR, DECL_TAG.
        1 | 14 | 17 => 4,
        // ARRAY.
        3 => 12,
        // STRUCT, UNION, DATASEC, ENUM64.
        4 | 5 | 15 | 19 => 12 * count,
        // ENUM, FUNC_PROTO.
        6 | 13 => 8 * count,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A BTF file that defines an integer, and a struct whose members are at bits 0 and 128.
    fn file() -> Vec<u8> {
        let strings = b"\0int\0thread_info\0flags\0status\0";
        let at = |name: &str| {
            let found = strings.windows(name.len()).position(|part| part == name.as_bytes());
            found.unwrap() as u32
        };
        let types = [
            [at("int"), 1 << 24, 4, 32].as_slice(),
            &[at("thread_info"), 4 << 24 | 1 << 31 | 2, 24],
            &[at("flags"), 1, 0],
            &[at("status"), 1, 128 | 2 << 24],
        ]
        .concat();
        let length = 4 * types.len() as u32;
        let mut file = MAGIC.to_ne_bytes().to_vec();
        file.extend([1, 0]);
        for word in [24, 0, length, length, strings.len() as u32].into_iter().chain(types) {
            file.extend(word.to_ne_bytes());
        }
        file.extend(strings);
        file
    }

    #[test]
    fn a_member_has_its_offset() {
        assert_eq!(offset_of(&file(), "thread_info", "status"), Some(16));
        assert_eq!(offset_of(&file(), "thread_info", "flags"), Some(0));
        assert_eq!(offset_of(&file(), "thread_info", "cpu"), None);
        assert_eq!(offset_of(&file(), "thread", "status"), None);
    }

    #[test]
    fn damaged_files_have_no_offsets() {
        let file = file();
        for length in 0..file.len() {
            offset_of(&file[..length], "thread_info", "status");
        }
        for at in 0..file.len() {
            for value in [0, 0x7f, 0xff] {
                let mut damaged = file.clone();
                damaged[at] = value;
                let _ = offset_of(&damaged, "thread_info", "status");
            }
        }
        assert_eq!(offset_of(b"", "thread_info", "status"), None);
        assert_eq!(offset_of(&[0; 64], "thread_info", "status"), None);
    }
}
