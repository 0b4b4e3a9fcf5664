"""Servers that speak to each other over TLS on loopback, Palpo beside Synapse."""
