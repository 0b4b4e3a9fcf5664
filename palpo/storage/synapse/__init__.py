"""Statements that read a Synapse's database (``palpo.db.synapse``), one module for each noun."""
