"""Synapse's tables of what users keep for themselves."""

from palpo.db.synapse.meta import blob, boolean, integer, table, text

account_data = table(
    "account_data", text("user_id"), text("account_data_type"), integer("stream_id"), text("content")
)

room_account_data = table(
    "room_account_data",
    text("user_id"),
    text("room_id"),
    text("account_data_type"),
    integer("stream_id"),
    text("content"),
)

room_tags = table("room_tags", text("user_id"), text("room_id"), text("tag"), text("content"))

push_rules = table(
    "push_rules",
    text("user_name"),
    text("rule_id"),
    integer("priority_class"),
    integer("priority"),
    text("conditions"),
    text("actions"),
)
"""``rule_id`` is such as ``global/content/word``. Rows of the class -1 are the actions of a default rule."""

push_rules_enable = table("push_rules_enable", text("user_name"), text("rule_id"), integer("enabled"))

pushers = table(
    "pushers",
    text("user_name"),
    text("profile_tag"),
    text("kind"),
    text("app_id"),
    text("app_display_name"),
    text("device_display_name"),
    text("pushkey"),
    integer("ts"),
    text("lang"),
    text("data"),
    boolean("enabled"),
    text("device_id"),
)

user_filters = table("user_filters", text("full_user_id"), integer("filter_id"), blob("filter_json"))

thread_subscriptions = table(
    "thread_subscriptions",
    text("user_id"),
    text("room_id"),
    text("event_id"),
    integer("stream_id"),
    boolean("subscribed"),
    boolean("automatic"),
)
