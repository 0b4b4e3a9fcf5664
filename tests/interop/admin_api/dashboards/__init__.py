"""What dashboards and moderation tools that were made for Synapse ask a server, and read of its answers."""
