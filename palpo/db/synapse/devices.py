"""Synapse's tables of devices, their tokens, and messages to them."""

from palpo.db.synapse.meta import boolean, integer, table, text

devices = table(
    "devices",
    text("user_id"),
    text("device_id"),
    text("display_name"),
    integer("last_seen"),
    text("ip"),
    text("user_agent"),
    boolean("hidden"),
)
"""Those that are ``hidden`` are cross-signing keys, and no devices."""

access_tokens = table(
    "access_tokens",
    integer("id"),
    text("user_id"),
    text("device_id"),
    text("token"),
    integer("valid_until_ms"),
    text("puppets_user_id"),
    integer("refresh_token_id"),
    boolean("used"),
)
"""Where ``puppets_user_id`` is set, the token is that user's; ``user_id`` is the administrator who has it."""

refresh_tokens = table(
    "refresh_tokens",
    integer("id"),
    text("user_id"),
    text("device_id"),
    text("token"),
    integer("next_token_id"),
    integer("expiry_ts"),
    integer("ultimate_session_expiry_ts"),
)
"""``next_token_id`` is the one that it was exchanged for."""

dehydrated_devices = table("dehydrated_devices", text("user_id"), text("device_id"), text("device_data"))

device_inbox = table(
    "device_inbox", text("user_id"), text("device_id"), integer("stream_id"), text("message_json")
)

device_lists_stream = table("device_lists_stream", integer("stream_id"), text("user_id"), text("device_id"))
"""Where each device of a user last changed, as other servers are told."""

device_lists_remote_extremeties = table("device_lists_remote_extremeties", text("user_id"), text("stream_id"))
"""The last update that is in the device list of a user of another server."""

device_lists_remote_resync = table("device_lists_remote_resync", text("user_id"))
"""Whose list is not in step."""

device_lists_remote_cache = table(
    "device_lists_remote_cache", text("user_id"), text("device_id"), text("content")
)
