"""Users here in rooms of others: joins, invites, knocks, leaves, and rooms in part."""
