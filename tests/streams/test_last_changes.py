"""What is remembered of when things last changed."""

from palpo.db.engine import Commit
from palpo.streams import topics
from palpo.streams.caches import CacheBudget
from palpo.streams.last_changes import LastChanges
from palpo.streams.wakeups import Wakeups


def started(position: int = 10, budget: int = 100_000) -> tuple[Wakeups, LastChanges]:
    wakeups = Wakeups()
    wakeups.start(position)
    return wakeups, LastChanges(wakeups, topics.ROOM, CacheBudget(budget))


def commit(
    wakeups: Wakeups, position: int, *room_ids: str, user_id: str | None = None, since: int | None = None
) -> None:
    before = wakeups.position if since is None else since
    changed = {topics.ROOM: set(room_ids)} if room_ids else {}
    if user_id is not None:
        changed[topics.USER] = {user_id}
    wakeups.on_commit(Commit(position=position, topics=changed, since=before))


def test_before_the_start_anything_may_have_changed() -> None:
    _, last = started(10)
    assert last.changed_since("a", 9, 10)
    assert not last.changed_since("a", 10, 10)
    assert last.any_since(9, 10)
    assert not last.any_since(10, 10)


def test_a_commit_changes_what_it_names() -> None:
    wakeups, last = started(10)
    commit(wakeups, 11, "a", user_id="b")
    commit(wakeups, 12, user_id="a")
    assert last.changed_since("a", 10, 12)
    assert not last.changed_since("a", 11, 12)
    assert not last.changed_since("b", 10, 12)
    assert last.any_since(10, 12)
    assert not last.any_since(11, 12)


def test_what_was_not_heard_of_may_have_changed() -> None:
    _, last = started(10)
    assert last.changed_since("a", 10, 11)
    assert last.any_since(10, 11)


def test_beyond_a_gap_anything_may_have_changed() -> None:
    wakeups, last = started(10)
    commit(wakeups, 15, "b", since=14)
    assert last.changed_since("a", 10, 15)
    commit(wakeups, 14, "a")
    assert not last.changed_since("a", 14, 14)
    assert last.changed_since("b", 14, 14)


def test_a_commit_for_everyone() -> None:
    wakeups, last = started(10)
    wakeups.on_commit(Commit(position=12, all_topics=True, since=10))
    assert last.changed_since("a", 11, 12)
    assert not last.changed_since("a", 12, 12)


def test_what_was_dropped_may_have_changed() -> None:
    wakeups, last = started(10, budget=1000)
    for position, key in enumerate("abcdefgh", 11):
        commit(wakeups, position, key)
    assert last.changed_since("z", 10, 18)
    assert not last.changed_since("z", 18, 18)
    assert last.changed_since("h", 17, 18)
