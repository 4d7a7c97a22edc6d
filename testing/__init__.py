"""The tests around the C programs and the crate: CONTRIBUTING.md says what is where."""
