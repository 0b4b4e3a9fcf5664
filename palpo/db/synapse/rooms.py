"""Rooms, events and states as Synapse has them.

A state group is a state. It has a group before it, and what is set differently, or all that is set. The
group of an event is the state after it.
"""

from palpo.db.synapse.meta import boolean, integer, table, text

rooms = table("rooms", text("room_id"), boolean("is_public"), text("creator"), text("room_version"))
events = table(
    "events",
    integer("stream_ordering"),
    integer("topological_ordering"),
    text("event_id"),
    text("room_id"),
    boolean("outlier"),
)
event_json = table("event_json", text("event_id"), text("internal_metadata"), text("json"))
rejections = table("rejections", text("event_id"))
event_forward_extremities = table("event_forward_extremities", text("event_id"), text("room_id"))
event_to_state_groups = table("event_to_state_groups", text("event_id"), integer("state_group"))
state_group_edges = table("state_group_edges", integer("state_group"), integer("prev_state_group"))
state_groups_state = table(
    "state_groups_state", integer("state_group"), text("type"), text("state_key"), text("event_id")
)
current_state_events = table(
    "current_state_events",
    text("event_id"),
    text("room_id"),
    text("type"),
    text("state_key"),
    text("membership"),
)
local_current_membership = table(
    "local_current_membership", text("room_id"), text("user_id"), text("event_id"), text("membership")
)
room_memberships = table(
    "room_memberships",
    text("event_id"),
    text("user_id"),
    text("room_id"),
    text("membership"),
    integer("forgotten"),
)
room_aliases = table("room_aliases", text("room_alias"), text("room_id"), text("creator"))
blocked_rooms = table("blocked_rooms", text("room_id"), text("user_id"))
receipts_linearized = table(
    "receipts_linearized",
    integer("stream_id"),
    text("room_id"),
    text("receipt_type"),
    text("user_id"),
    text("event_id"),
    text("thread_id"),
    text("data"),
)
event_reports = table(
    "event_reports",
    integer("id"),
    integer("received_ts"),
    text("room_id"),
    text("event_id"),
    text("user_id"),
    text("reason"),
    text("content"),
)
room_reports = table(
    "room_reports",
    integer("id"),
    integer("received_ts"),
    text("room_id"),
    text("user_id"),
    text("reason"),
)
user_reports = table(
    "user_reports",
    integer("id"),
    integer("received_ts"),
    text("target_user_id"),
    text("user_id"),
    text("reason"),
)
