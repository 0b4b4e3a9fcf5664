"""Synapse's admin API: what its documentation has, what of it is served, and how the answers compare."""
