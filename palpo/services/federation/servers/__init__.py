"""Other servers: who they are, where, and whether they may be asked."""
