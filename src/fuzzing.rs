//! Lists the checks that the fuzz targets in fuzz/ run on every input, and that the tests here run
//! on the saved corpus. Each check compares a parser with a simple implementation that follows the
//! same rule and uses the standard library. The checks are in the `oracle.rs` files alongside the
//! parsers. This module is not part of the API: it is compiled only for tests and under
//! `cfg(fuzzing)`.

pub use crate::calls::oracle::{name, nearest};
#[cfg(feature = "capi")]
pub use crate::capi::oracle::{options, warning};
pub use crate::kernel::oracle::{entry, mounts};
pub use crate::sys::oracle::number_file;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    type Property = fn(&[u8]);

    const TARGETS: &[(&str, Property)] = &[
        ("name", name),
        ("nearest", nearest),
        ("entry", entry),
        ("mounts", mounts),
        ("number_file", number_file),
        #[cfg(feature = "capi")]
        ("options", options),
        #[cfg(feature = "capi")]
        ("warning", warning),
    ];

    /// Checks every property with the inputs that are saved for the property's fuzz target.
    #[test]
    fn the_corpus_passes() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        if !fuzz.exists() {
            println!("skip: the published crate comes without fuzz/");
            return;
        }
        for (target, property) in TARGETS {
            let inputs = fs::read_dir(fuzz.join("corpus").join(target)).unwrap();
            let mut inputs: Vec<_> = inputs.map(|entry| entry.unwrap().path()).collect();
            inputs.sort();
            assert!(!inputs.is_empty(), "{target}");
            for input in inputs {
                println!("{}", input.display());
                property(&fs::read(input).unwrap());
            }
        }
    }
}
