//! Lists what the fuzz targets in fuzz/ check for every input, and the tests here for the saved
//! corpus: the result of a parser is compared with that of its rule, written plainly with the
//! standard library in a file `oracle.rs` beside the parser.
//!
//! No part of the API: it is compiled for tests and under `cfg(fuzzing)` only.

pub use crate::calls::oracle::{name, nearest};
#[cfg(feature = "capi")]
pub use crate::capi::oracle::{options, warning};
pub use crate::kernel::oracle::{entry, mounts};
pub use crate::sys::oracle::number_file;
pub use crate::text::oracle::text;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Checks a property on every input that is saved for its fuzz target.
    fn replay(target: &str, property: fn(&[u8])) {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        if !fuzz.exists() {
            println!("skip: the published crate comes without fuzz/");
            return;
        }
        let mut inputs: Vec<_> = fs::read_dir(fuzz.join("corpus").join(target))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        inputs.sort();
        assert!(!inputs.is_empty());
        for input in inputs {
            println!("{}", input.display());
            property(&fs::read(input).unwrap());
        }
    }

    #[test]
    fn names_of_the_corpus() {
        replay("name", name);
    }

    #[test]
    fn nearest_names_of_the_corpus() {
        replay("nearest", nearest);
    }

    #[test]
    fn entries_of_the_corpus() {
        replay("entry", entry);
    }

    #[test]
    fn mounts_of_the_corpus() {
        replay("mounts", mounts);
    }

    #[test]
    fn number_files_of_the_corpus() {
        replay("number_file", number_file);
    }

    #[test]
    fn texts_of_the_corpus() {
        replay("text", text);
    }

    #[cfg(feature = "capi")]
    #[test]
    fn options_of_the_corpus() {
        replay("options", options);
    }

    #[cfg(feature = "capi")]
    #[test]
    fn warnings_of_the_corpus() {
        replay("warning", warning);
    }
}
