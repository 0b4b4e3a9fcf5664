"""Synapse's tables of accounts and what belongs to them as a whole."""

from palpo.db.synapse.meta import boolean, integer, table, text

users = table(
    "users",
    text("name"),
    text("password_hash"),
    integer("creation_ts"),
    integer("admin"),
    integer("is_guest"),
    text("appservice_id"),
    text("user_type"),
    integer("deactivated"),
    boolean("shadow_banned"),
    boolean("approved"),
    boolean("locked"),
    boolean("suspended"),
)
"""``name`` is the whole user ID, ``creation_ts`` in seconds."""

erased_users = table("erased_users", text("user_id"))

users_pending_deactivation = table("users_pending_deactivation", text("user_id"))

profiles = table("profiles", text("full_user_id"), text("displayname"), text("avatar_url"), text("fields"))
"""``fields`` is a JSON object of all other fields, or NULL."""

ratelimit_override = table(
    "ratelimit_override", text("user_id"), integer("messages_per_second"), integer("burst_count")
)

user_threepids = table(
    "user_threepids",
    text("user_id"),
    text("medium"),
    text("address"),
    integer("validated_at"),
    integer("added_at"),
)

user_threepid_id_server = table(
    "user_threepid_id_server", text("user_id"), text("medium"), text("address"), text("id_server")
)
"""Identity servers that were told of an identifier."""

user_external_ids = table("user_external_ids", text("auth_provider"), text("external_id"), text("user_id"))

registration_tokens = table(
    "registration_tokens",
    text("token"),
    integer("uses_allowed"),
    integer("completed"),
    integer("expiry_time"),
)
