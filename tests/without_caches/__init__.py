"""Tests once more on a server that keeps nothing in memory: what is cached is found all the same."""
