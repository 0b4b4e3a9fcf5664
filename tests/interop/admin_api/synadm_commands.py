"""What ``synadm``, a command line for Synapse's admin API, is asked to do, in this order.

``{name}`` stands for what the world has by that name (``world.py``), or an earlier command's answer.
IDs may begin with a hyphen: they stand behind ``--`` or ``=``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Command:
    """A line, and what the answer has in it at least.

    It is asked again until it has ``until``; ``keeps`` names members of it for later lines.
    """

    line: str
    answer: Any
    keeps: Mapping[str, str] = field(default_factory=dict)
    until: Mapping[str, Any] = field(default_factory=dict)


DONE: dict[str, Any] = {}
COMPLETE = {"status": "complete"}
COMMANDS = (
    Command("version", {"server_version": ...}),
    Command("raw v1/server_version", {"server_version": ...}),
    Command("matrix raw client/versions", {"versions": ...}),
    Command("matrix login bob --password '{password}'", {"user_id": "{bob}", "access_token": ...}),
    # Rooms
    Command("room list", {"total_rooms": 5, "rooms": ...}),
    Command("room list --limit 2 --sort joined_members --reverse", {"next_batch": 2}),
    Command("room list --not-empty --name Doomed", {"total_rooms": 2}),
    Command("room search Doomed", {"total_rooms": 2}),
    Command("room details {room}", {"room_id": "{room}", "name": "Room", "joined_local_members": 4}),
    Command("room state {room}", {"state": ...}),
    Command("room members {room}", {"total": 4, "members": [..., ..., ..., ...]}),
    Command("room power-levels --name Closed", {"rooms": [{"power_levels": {"{alice}": 100}}]}),
    Command("room resolve '{alias}'", '"{room}"'),
    Command("room resolve --reverse {room}", {"aliases": ["{alias}"]}),
    Command("room join '{alias}' {erin}", {"room_id": "{room}"}),
    Command("room make-admin {closed} --user-id {alice}", DONE),
    Command("room block {closed} --block", {"block": True}),
    Command("room block-status {closed}", {"block": True, "user_id": "{admin}"}),
    Command("room block {closed} --unblock", {"block": False}),
    # Users
    Command("user list", {"total": 7, "users": ...}),
    Command("user list --limit 2 --sort-by creation_ts --reverse", {"total": 7, "next_token": "2"}),
    Command("user list --admins", {"total": 1, "users": [{"name": "{admin}"}]}),
    Command("user list --user-id {bob}", {"total": 1, "users": [{"name": "{bob}"}]}),
    Command("user list --locked --deactivated --no-guests --exclude-user-type bot", {"total": 7}),
    Command("user search lic", {"total": 1, "users": [{"name": "{alice}", "displayname": "Alice"}]}),
    Command("user details alice", {"name": "{alice}", "displayname": "Alice", "deactivated": False}),
    Command("user whois alice", {"user_id": "{alice}", "devices": ...}),
    Command("user membership bob", {"total": 2, "joined_rooms": ...}),
    Command("user membership alice --aliases", {"total": 5, "joined_rooms": ...}),
    Command("user media alice", {"total": 2, "media": ...}),
    Command("user media alice --sort created_ts --reverse --limit 1", {"total": 2, "next_token": 1}),
    Command(
        "user modify zoe --password '{password}' -n Zoe --threepid email zoe@example.org --no-admin",
        {"name": "@zoe:{server}", "displayname": "Zoe", "threepids": [{"address": "zoe@example.org"}]},
    ),
    Command("user 3pid zoe@example.org", {"user_id": "@zoe:{server}"}),
    Command("user modify zoe --lock --user-type bot", {"locked": True, "user_type": "bot"}),
    Command("user modify zoe --unlock --user-type null", {"locked": False, "user_type": None}),
    Command(
        "raw v2/users/@zoe:{server} -m put"
        """ -d '{{"external_ids":[{{"auth_provider":"x","external_id":"7"}}]}}'""",
        {"external_ids": [{"auth_provider": "x", "external_id": "7"}]},
    ),
    Command("user auth-provider --provider x 7", {"user_id": "@zoe:{server}"}),
    Command("user password zoe --password 'another password'", DONE),
    Command("user password zoe --password 'another password' --no-logout", DONE),
    Command("user login zoe", {"access_token": ...}),
    Command("user login zoe --expire-never", {"access_token": ...}),
    Command("user prune-devices {bob} --list-only --min-days 1 --min-surviving 0", [{"user_id": "{bob}"}]),
    Command(
        "user prune-devices {bob} --device-id {bob_device} --min-surviving 0", [{"device_id": "{bob_device}"}]
    ),
    Command("user suspend dave", {"user_{dave}_suspended": True}),
    Command("user suspend dave --unsuspend", {"user_{dave}_suspended": False}),
    Command("user shadow-ban dave", DONE),
    Command("user shadow-ban dave --unban", DONE),
    Command("user redact dave --reason spam --limit 100", {"redact_id": ...}, keeps={"redact": "redact_id"}),
    Command(
        "user redact-status -- {redact}", {"status": "complete", "failed_redactions": {}}, until=COMPLETE
    ),
    Command("notice send carol Hello '<b>Hello</b>'", [{"event_id": ...}]),
    Command("notice send --regex '@(bob|carol):.*' Hello", [{"event_id": ...}, {"event_id": ...}]),
    # Media
    Command("media list --room-id {room}", {"local": [..., ..., ...], "remote": []}),
    Command("media list --user-id bob", {"total": 1, "media": [{"media_id": "{third}"}]}),
    Command("media protect -- {second}", DONE),
    Command("media quarantine --media-id={third} --server-name {server}", DONE),
    Command("media unquarantine --media-id={third} --server-name {server}", DONE),
    Command("media quarantine --mxc-uri mxc://{server}/{third}", DONE),
    Command("media unquarantine --mxc-uri mxc://{server}/{third}", DONE),
    Command("media quarantine --room-id {room}", {"num_quarantined": ...}),
    Command("media quarantine --user-id carol", {"num_quarantined": 1}),
    Command("media purge --before-days 0", {"deleted": 0}),
    Command("media delete --media-id={third}", {"deleted_media": ["{third}"], "total": 1}),
    Command("media delete --before-days 0 --delete-profiles", {"deleted_media": ..., "total": ...}),
    # Registration tokens
    Command("regtok list", {"registration_tokens": []}),
    Command("regtok new --token party --uses-allowed 3", {"token": "party", "uses_allowed": 3}),
    Command("regtok new --length 20 --expiry-ts 4102444800000", {"expiry_time": 4102444800000}),
    Command("regtok list --valid --timestamp", {"registration_tokens": [..., ...]}),
    Command("regtok details party", {"token": "party", "pending": 0, "completed": 0}),
    Command("regtok update party --uses-allowed -1", {"uses_allowed": None}),
    Command("regtok update party --uses-allowed 2 --expiry-ts -1", {"uses_allowed": 2, "expiry_time": None}),
    Command("regtok delete party", "Registration token successfully deleted."),
    # What is taken away
    Command(
        "history purge {room} --before-event-id '{event_3}' --delete-local",
        {"purge_id": ...},
        keeps={"purge": "purge_id"},
    ),
    Command("history purge-status -- {purge}", COMPLETE, until=COMPLETE),
    Command("room delete {doomed} --block", {"delete_id": ...}, keeps={"deletion": "delete_id"}),
    Command("room delete-status --delete-id={deletion}", {"status": "complete"}, until=COMPLETE),
    Command("room delete-status --room-id {doomed}", {"results": [COMPLETE]}),
    Command("room delete {doomed_2} --v1 --new-room-user-id {bob} --message Gone", {"new_room_id": ...}),
    Command("raw v1/rooms/{closed} -m delete -d '{{\"purge\":false}}'", {"kicked_users": ["{alice}"]}),
    Command("room purge-empty --dry-run", ["{closed}"]),
    Command("room purge-empty", {"delete_id": ...}),
    Command("user deactivate zoe", {"id_server_unbind_result": "success"}),
    Command("user modify zoe --activate --password '{password}'", {"deactivated": False}),
    Command("user deactivate zoe --gdpr-erase", {"id_server_unbind_result": "success"}),
    Command("user deactivate-regex '@er.n:.*'", {"id_server_unbind_result": "success"}),
    Command("user list --deactivated --name erin", {"total": 1, "users": [{"deactivated": True}]}),
    # Communities are no part of Matrix any more; Synapse says the same.
    Command("group delete +x:{server}", {"errcode": "M_UNRECOGNIZED"}),
)
