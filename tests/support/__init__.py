"""What tests share: a running homeserver and clients of it."""
