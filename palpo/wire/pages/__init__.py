"""Pages of this server's own: signing in, the account, and what clients are allowed."""
