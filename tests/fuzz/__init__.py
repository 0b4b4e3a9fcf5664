"""Hostile requests, made from the endpoints' own declarations and from the spec's schemas.

``python -m tests.fuzz --requests 50000`` runs for long; ``test_fuzz.py`` runs a little of it. A run is
a sequence of a seed's own: the same seed against the same code makes the same requests.
"""
