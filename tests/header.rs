//! Checks that include/ksyscall.h is what cbindgen generates from src/capi. `make header` runs this
//! test with WRITE_HEADER=1, which writes the header instead.

use std::fs;
use std::path::Path;

#[test]
fn the_checked_in_header_is_the_generated_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    let sources = ["header.rs", "opts.rs", "links_opts.rs"];
    let mut generated = Vec::new();
    sources
        .iter()
        .map(|source| root.join("src/capi").join(source))
        .fold(cbindgen::Builder::new().with_config(config), cbindgen::Builder::with_src)
        .generate()
        .expect("cbindgen reads the sources")
        .write(&mut generated);
    let header = root.join("include/ksyscall.h");
    if std::env::var_os("WRITE_HEADER").is_some() {
        fs::write(header, generated).expect("the header is writable");
        return;
    }
    let checked_in = fs::read(header).expect("the header is readable");
    assert!(generated == checked_in, "run `make header` and check in include/ksyscall.h");
}
