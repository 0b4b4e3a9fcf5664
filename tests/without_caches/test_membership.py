"""On a server without caches."""

from tests.api.client.test_membership import *  # noqa: F403
