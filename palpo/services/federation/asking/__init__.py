"""What other servers are asked on behalf of users here, beside rooms' events."""
