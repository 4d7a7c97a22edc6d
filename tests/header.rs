//! Checks that the committed C header matches what build.rs generates from the source.
#![cfg(feature = "capi")]

#[test]
fn the_checked_in_header_is_the_generated_one() {
    let generated = include_str!(concat!(env!("OUT_DIR"), "/ksyscall.h"));
    let checked_in = include_str!("../include/ksyscall.h");
    assert!(generated == checked_in, "run `make header` and check in include/ksyscall.h");
}
