"""Every kind of topic that there is: what has changed when it is published, who publishes it, who listens.

A unit of work publishes with ``tx.notify(topics.ROOM, room_id)``; who waits, waits for
``{topics.ROOM: {room_id}}``; caches are told by ``wakeups.listen(topics.ROOM, cache.forget)``. A test holds
``USES`` to what the code does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from palpo.db.topics import Kind

ONLY = ""
"""The key of a kind that has one only."""

ROOM = Kind("room")
"""By room: whatever syncs tell of it, such as events, receipts and typing."""
HEAD = Kind("head")
"""By room: its history has grown."""
PURGED = Kind("purged")
"""By room: some of its history was deleted."""
REDACTED = Kind("redacted")
"""By room: something in it was redacted."""
EVENT = Kind("event")
"""By event: it was redacted, or what became of it is not what it was."""
RELATIONS = Kind("relations")
"""By room: an event in it relates to another."""
RECEIPTS = Kind("receipts")
"""By room: somebody has read on."""
TYPING = Kind("typing")
"""By room: somebody began or stopped typing."""
USER = Kind("user")
"""By user: whatever their own syncs tell them beside rooms."""
SESSION = Kind("session")
"""By user: tokens were revoked, or the account is not what it was."""
ERASURE = Kind("erasure")
"""By user: whether they are erased."""
MEMBER = Kind("member")
"""By user: one of their memberships."""
READ = Kind("read")
"""By user: they have read on somewhere."""
ACCOUNT_DATA = Kind("account_data")
"""By user: their account data, or their push rules."""
PUSH_RULES = Kind("push_rules")
"""By user."""
PUSHERS = Kind("pushers")
"""By user."""
PROFILE = Kind("profile")
"""By user: their own profile, not what rooms show."""
PRESENCE = Kind("presence")
"""By user."""
TO_DEVICE = Kind("to_device")
"""By user: messages for their devices."""
DEVICE_LIST = Kind("device_list")
"""By user: their devices, or the keys of those."""
ONE_TIME_KEYS = Kind("one_time_keys")
"""By user: how many keys are left to be claimed."""
THREAD_SUBSCRIPTIONS = Kind("thread_subscriptions")
"""By user: which threads they follow."""
THREAD_FOLLOWERS = Kind("thread_followers")
"""By the thread's first event: who follows it."""
MEDIA = Kind("media")
"""By media ID: its content has been uploaded."""
DIRECTORY = Kind("directory")
"""Which rooms the directory lists."""
BLOCKED_ROOMS = Kind("blocked_rooms")
"""By room: whether users here may join it."""
DELAYED_EVENTS = Kind("delayed_events")
"""An event was scheduled."""
PARTIAL_ROOMS = Kind("partial_rooms")
"""There is a room of whose state members are missing."""
ROOM_SERVERS = Kind("room_servers")
"""By room: which other servers are in it."""
DESTINATIONS = Kind("destinations")
"""By server: whether it can be told of what happens here."""
RETRIES = Kind("retries")
"""By server: it is to be told again now."""
DESTINATION_EDUS = Kind("destination_edus")
"""By server: there are EDUs for it that must not be lost."""
JOBS = Kind("jobs")
"""By job: it was begun, or has ended."""
JOB_PROGRESS = Kind("job_progress")
"""By job: it is further, or has ended."""
BACKGROUND_UPDATES = Kind("background_updates")
"""Whether what can wait may be done."""
SERVER_KEYS = Kind("server_keys")
"""By server: keys that others sign with."""


@dataclass(frozen=True, slots=True)
class Use:
    """The modules that publish a kind, and those that listen to it, wait for it, or look for it."""

    published: str
    heard: str


USES: Mapping[Kind, Use] = {
    ROOM: Use(
        published="device_lists presence receipts room_group typing",
        heard="feed old_sync unread window",
    ),
    HEAD: Use(
        published="room_group room_rows",
        heard="completions federation_sender room_directory room_heads search_index user_lists",
    ),
    REDACTED: Use(
        published="events room_rows",
        heard="facts push_rooms redacted_state room_lists room_overviews summary",
    ),
    PURGED: Use(published="history_purge", heard="recent_events"),
    EVENT: Use(published="history_purge events room_rows", heard="event_store outgoing_transactions"),
    RELATIONS: Use(published="events room_rows", heard="client_events"),
    RECEIPTS: Use(published="receipts room_rows", heard="federation_sender news receipts window"),
    TYPING: Use(published="typing", heard="federation_sender news typing"),
    USER: Use(
        published="account_data account_rows device_lists memberships outside_memberships presence profiles"
        " push_rules receipts room_group thread_subscriptions to_device",
        heard="feed old_sync v3",
    ),
    SESSION: Use(
        published="account_rows accounts rate_limits sessions", heard="appservices sessions waiting"
    ),
    ERASURE: Use(published="accounts", heard="erasures"),
    MEMBER: Use(
        published="completions departures memberships outside_memberships room_group room_rows",
        heard="device_list_teller device_lists room_servers user_rooms",
    ),
    READ: Use(published="receipts room_rows", heard="unread window"),
    ACCOUNT_DATA: Use(
        published="account_data account_rows push_rules room_rows", heard="account_data window"
    ),
    PUSH_RULES: Use(published="account_rows push_rules", heard="push_rules"),
    PUSHERS: Use(published="account_rows pushers", heard="pushers"),
    PROFILE: Use(published="account_rows profiles", heard="profiles"),
    PRESENCE: Use(published="presence", heard="federation_sender news presence"),
    TO_DEVICE: Use(published="to_device", heard="to_device"),
    DEVICE_LIST: Use(published="completions device_lists", heard="device_list_teller device_lists"),
    ONE_TIME_KEYS: Use(published="account_rows keys", heard="appservices keys"),
    THREAD_SUBSCRIPTIONS: Use(published="thread_subscriptions", heard="extensions"),
    THREAD_FOLLOWERS: Use(published="thread_subscriptions", heard="thread_followers"),
    MEDIA: Use(published="media", heard="media"),
    DIRECTORY: Use(published="room_directory room_rows", heard="room_directory"),
    BLOCKED_ROOMS: Use(published="blocked_rooms", heard="blocked_rooms"),
    DELAYED_EVENTS: Use(published="delayed_events", heard="delayed_events"),
    ROOM_SERVERS: Use(published="room_servers room_rows", heard="fan_out federation_sender room_servers"),
    PARTIAL_ROOMS: Use(published="partial_rooms", heard="partial_rooms"),
    DESTINATIONS: Use(published="destinations", heard="destinations"),
    RETRIES: Use(published="destinations", heard="federation_sender remote_presence"),
    DESTINATION_EDUS: Use(published="destination_edus", heard="federation_sender"),
    JOBS: Use(published="jobs", heard="jobs"),
    JOB_PROGRESS: Use(published="jobs", heard="jobs"),
    BACKGROUND_UPDATES: Use(published="server_meta", heard="background_updates jobs"),
    SERVER_KEYS: Use(published="server_signing_keys", heard="key_fetches keyring"),
}
