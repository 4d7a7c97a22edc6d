//! Runs `number_file` in src/sys/oracle.rs for each input.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ksyscall::fuzzing::number_file(input));
