"""What Synapse's database is, and what it knows of other servers."""

from palpo.db.synapse.meta import blob, integer, table, text

schema_version = table("schema_version", integer("version"))
users = table("users", text("name"))
partial_state_rooms = table("partial_state_rooms", text("room_id"))
server_signature_keys = table(
    "server_signature_keys",
    text("server_name"),
    text("key_id"),
    integer("ts_valid_until_ms"),
    blob("verify_key"),
)
