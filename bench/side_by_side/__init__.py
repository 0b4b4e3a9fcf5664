"""Palpo and Synapse under the same load, on one machine, in one run."""
