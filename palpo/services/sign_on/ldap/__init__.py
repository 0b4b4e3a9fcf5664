"""Passwords that a directory knows."""
