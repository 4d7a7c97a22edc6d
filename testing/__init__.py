"""Tests that run the C programs and test the crate, and the tools for these tests; see CONTRIBUTING.md."""
