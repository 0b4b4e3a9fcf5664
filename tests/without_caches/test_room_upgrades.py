"""On a server without caches."""

from tests.api.client.test_room_upgrades import *  # noqa: F403
