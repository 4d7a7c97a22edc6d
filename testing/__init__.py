"""Contains the tests that pytest runs, and their tools. CONTRIBUTING.md describes how to run them."""
