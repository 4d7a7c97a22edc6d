//! See `warning` in src/capi/oracle.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ksyscall::fuzzing::warning(input));
