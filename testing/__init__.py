"""Contains the tests that pytest runs, and their helper modules. CONTRIBUTING.md describes how to run the tests."""
