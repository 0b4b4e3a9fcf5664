"""What other servers ask of the rooms here."""
