//! Runs `entry` in src/kernel/oracle.rs for each input.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ksyscall::fuzzing::entry(input));
