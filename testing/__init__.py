"""Tests and test tools around the C programs and the crate; CONTRIBUTING.md describes them."""
