"""On a server without caches."""

from tests.api.client.test_relations import *  # noqa: F403
