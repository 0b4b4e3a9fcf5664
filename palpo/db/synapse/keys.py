"""Synapse's tables of end-to-end encryption keys and their backups."""

from palpo.db.synapse.meta import boolean, integer, table, text

device_keys = table("e2e_device_keys_json", text("user_id"), text("device_id"), text("key_json"))

one_time_keys = table(
    "e2e_one_time_keys_json",
    text("user_id"),
    text("device_id"),
    text("algorithm"),
    text("key_id"),
    integer("ts_added_ms"),
    text("key_json"),
)

fallback_keys = table(
    "e2e_fallback_keys_json",
    text("user_id"),
    text("device_id"),
    text("algorithm"),
    text("key_id"),
    text("key_json"),
    boolean("used"),
)

cross_signing_keys = table(
    "e2e_cross_signing_keys",
    text("user_id"),
    text("keytype"),
    text("keydata"),
    integer("stream_id"),
    integer("updatable_without_uia_before_ms"),
)
"""The one with the greatest ``stream_id`` counts; other servers' users have theirs here too."""

cross_signing_signatures = table(
    "e2e_cross_signing_signatures",
    text("user_id"),
    text("key_id"),
    text("target_user_id"),
    text("target_device_id"),
    text("signature"),
)
"""What users have signed with the key ``key_id``; ``target_device_id`` is a device ID or a public key."""

room_keys_versions = table(
    "e2e_room_keys_versions",
    text("user_id"),
    integer("version"),
    text("algorithm"),
    text("auth_data"),
    integer("deleted"),
    integer("etag"),
)
"""``version`` counts each user's backups."""

room_keys = table(
    "e2e_room_keys",
    text("user_id"),
    text("room_id"),
    text("session_id"),
    integer("version"),
    integer("first_message_index"),
    integer("forwarded_count"),
    boolean("is_verified"),
    text("session_data"),
)
