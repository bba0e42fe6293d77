"""The determinism lab: which sources of variation remain when, and what does removing each cost?

``python -m stress lab --help`` teaches it; docs/lab.md is its page.
"""
