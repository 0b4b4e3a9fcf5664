"""Runs in real Docker: building the image under test, and keeping what its containers wrote."""
