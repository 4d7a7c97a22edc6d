//! Checks what must hold of text for every input.

use super::{Text, cut, number, parts};

/// The number that a text is, if it is nothing but digits of the base.
pub(crate) fn expected_number(text: &str, base: u8) -> Option<u64> {
    let digits = text.chars().all(|c| c.is_digit(base.into()));
    digits.then(|| u64::from_str_radix(text, base.into()).ok()).flatten()
}

/// Text: the first byte is a separator, the others are cut up, read as a number
/// and put together.
pub fn text(bytes: &[u8]) {
    let Some((Ok(text), separator)) = bytes
        .split_first()
        .filter(|(separator, _)| separator.is_ascii())
        .map(|(separator, text)| (std::str::from_utf8(text), char::from(*separator)))
    else {
        return;
    };
    let byte = separator as u8;
    let (head, rest) = text.split_once(separator).unwrap_or((text, ""));
    assert_eq!(cut(text.as_bytes(), byte), (head.as_bytes(), rest.as_bytes()));
    let expected: Vec<_> =
        text.split(separator).filter(|part| !part.is_empty()).map(str::as_bytes).collect();
    assert_eq!(parts(text.as_bytes(), byte).collect::<Vec<_>>(), expected);
    for base in 2..=10 {
        assert_eq!(
            number(text.as_bytes(), base),
            expected_number(text, base),
            "{text:?}, base {base}"
        );
    }

    let mut built = Text::<8>::new();
    let mut expected = Vec::new();
    let id = text.bytes().fold(0, |id: u64, byte| id.wrapping_mul(257).wrapping_add(byte.into()));
    for part in text.split(separator) {
        built.add(part.as_bytes());
        expected.extend(part.bytes());
        built.add_number(id);
        expected.extend(id.to_string().bytes());
        built.push(byte);
        expected.push(byte);
        assert_eq!(built.is_cut(), expected.len() > 7);
        assert_eq!(built.as_bytes(), &expected[..expected.len().min(7)]);
        let to_nul = built.as_bytes().split(|byte| *byte == 0).next();
        assert_eq!(Some(built.as_c_str().to_bytes()), to_nul);
    }
    #[cfg(feature = "capi")]
    {
        built.end_with(b'!');
        expected.truncate(6);
        expected.push(b'!');
        assert_eq!(built.as_bytes(), expected);
    }
}
