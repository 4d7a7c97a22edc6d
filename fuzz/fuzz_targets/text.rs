//! See `text` in src/text/oracle.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ksyscall::fuzzing::text(input));
