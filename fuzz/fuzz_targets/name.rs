//! See `name` in src/calls/oracle.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ksyscall::fuzzing::name(input));
