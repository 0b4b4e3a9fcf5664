"""On a server without caches."""

from tests.services.test_room_writer import *  # noqa: F403
