"""On a server without caches."""

from tests.services.history.test_room_writer import *  # noqa: F403
