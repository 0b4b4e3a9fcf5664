"""On a server without caches."""

from tests.sync.test_sliding import *  # noqa: F403

# Which members a client has been sent lazily is known in memory only: it is sent them again.
del test_lazy_members, test_members_of_a_lost_response_are_sent_again  # noqa: F821
del test_members_of_a_longer_timeline_that_got_lost_are_sent_again  # noqa: F821
