"""On a server without caches."""

from tests.sync.test_v3 import *  # noqa: F403

# Which members a client has been sent lazily is known in memory only: it is sent them again.
del test_lazy_members_come_with_who_speaks  # noqa: F821
