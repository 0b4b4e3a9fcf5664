"""On a server without caches."""

from tests.api.client.test_timeline import *  # noqa: F403
