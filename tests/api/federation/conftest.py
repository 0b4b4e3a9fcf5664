"""A server of ours, and one that is not."""

from tests.support.town import alice, remote, server, town

__all__ = ["alice", "remote", "server", "town"]
