"""The requests, in this order: as Ketesa (formerly etke.cc's Synapse Admin), Awesome's Synapse Admin, and the
moderation bots Mjolnir and Draupnir send them when all their pages and actions are gone through.

``{name}`` stands for what the world has by that name (``world.py``), or an earlier answer, quoted, and
``{!name}`` for the same as it is: some of them do not quote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.interop.admin_api.expected import Each
from tests.interop.admin_api.world import PICTURE


@dataclass(frozen=True, slots=True)
class Asked:
    """A request by one of them, and what it reads of the answer.

    It is asked again until the answer has ``until``; ``keeps`` names members of it for later requests. A body
    of bytes is a picture; ``status`` is one of an error that is looked for.
    """

    who: str
    method: str
    path: str
    reads: Any
    body: Any = None
    keeps: Mapping[str, str] = field(default_factory=dict)
    until: Mapping[str, Any] = field(default_factory=dict)
    status: int | None = None


S1, S2, S3 = (f"/_synapse/admin/{version}" for version in ("v1", "v2", "v3"))
CLIENT = "/_matrix/client"
COMPLETE = {"status": "complete"}
ANY: dict[str, Any] = {}
UNRECOGNIZED = {"errcode": "M_UNRECOGNIZED"}

USER_OF_LIST = {
    "name": ...,
    "displayname": ...,
    "avatar_url": ...,
    "is_guest": ...,
    "admin": ...,
    "deactivated": ...,
    "locked": ...,
    "erased": ...,
    "shadow_banned": ...,
    "creation_ts": ...,
}
USER = USER_OF_LIST | {
    "threepids": ...,
    "external_ids": ...,
    "user_type": ...,
    "suspended": ...,
    "consent_version": ...,
    "appservice_id": ...,
}
ROOM_OF_LIST = {
    "room_id": ...,
    "name": ...,
    "canonical_alias": ...,
    "joined_members": ...,
    "joined_local_members": ...,
    "version": ...,
    "creator": ...,
    "encryption": ...,
    "federatable": ...,
    "public": ...,
    "join_rules": ...,
    "guest_access": ...,
    "history_visibility": ...,
    "state_events": ...,
    "room_type": ...,
}
ROOM = ROOM_OF_LIST | {"topic": ..., "avatar": ..., "joined_local_devices": ...}
MEDIUM = {
    "media_id": ...,
    "created_ts": ...,
    "last_access_ts": ...,
    "media_length": ...,
    "media_type": ...,
    "upload_name": ...,
    "quarantined_by": ...,
    "safe_from_quarantine": ...,
}
DEVICE = {"device_id": ..., "display_name": ..., "last_seen_ip": ..., "last_seen_ts": ..., "user_id": ...}
PUSHER = {
    "kind": ...,
    "app_display_name": ...,
    "app_id": ...,
    "data": {"url": ...},
    "pushkey": ...,
    "lang": ...,
}
REPORT = {
    "id": ...,
    "received_ts": ...,
    "user_id": ...,
    "score": ...,
    "reason": ...,
    "name": ...,
    "canonical_alias": ...,
    "room_id": ...,
    "sender": ...,
    "event_id": ...,
}
EVENT = {"origin_server_ts": ..., "type": ..., "content": {"msgtype": ..., "body": ...}}
STATE = {
    "event_id": ...,
    "type": ...,
    "state_key": ...,
    "sender": ...,
    "content": ...,
    "origin_server_ts": ...,
}
EXTREMITIES = {
    "count": ...,
    "results": Each({"event_id": ..., "depth": ..., "state_group": ..., "received_ts": ...}),
}
TOKEN = {"token": ..., "uses_allowed": ..., "pending": ..., "completed": ..., "expiry_time": ...}
WHOIS = {"devices": {"": {"sessions": Each({"connections": Each({"ip": ..., "last_seen": ...})})}}}
DIRECTORY = {
    "total_room_count_estimate": ...,
    "chunk": Each({"room_id": ..., "num_joined_members": ..., "world_readable": ..., "guest_can_join": ...}),
}
LOGGED_IN = {"user_id": "{!admin}", "home_server": "{!server}", "access_token": ..., "device_id": ...}


def _sorted(who: str, path: str, orders: str, reads: Any) -> Iterable[Asked]:
    for order in orders.split():
        for direction in "fb":
            yield Asked(who, "GET", f"{path}order_by={order}&dir={direction}", reads)


def _login(who: str) -> dict[str, Any]:
    identifier = {"type": "m.id.user", "user": "admin"}
    more = {"device_id": None, "user": "admin", "initial_device_display_name": who}
    return {"type": "m.login.password", "identifier": identifier, "password": "{!password}", **more}


def _both() -> Iterable[Asked]:
    """What the two dashboards do alike, each in its way: it is an edition of the other."""
    for who, version, users, limit in (("Ketesa", "v3", S3, 50), ("Synapse Admin", "r0", S2, 10)):
        page = f"from=0&limit={limit}&"
        below = "from=0&limit=25&order_by=id&dir=f"
        yield Asked(who, "GET", f"{S1}/server_version", {"server_version": ...})
        yield Asked(who, "GET", f"{CLIENT}/versions", {"versions": ...})
        yield Asked(who, "GET", f"{CLIENT}/{version}/login", {"flows": Each({"type": ...})})
        body = _login(who)
        yield Asked(who, "POST", f"{CLIENT}/{version}/login", LOGGED_IN, body)
        wanted = f"{users}/users?{page}guests=true&deactivated=false&locked=false&"
        orders = "name displayname is_guest admin deactivated locked creation_ts avatar_url shadow_banned"
        yield from _sorted(who, wanted, orders, {"users": Each(USER_OF_LIST), "total": ...})
        yield Asked(
            who, "GET", f"{users}/users?{page}name=ali", {"users": [{"name": "{!alice}"}], "total": 1}
        )
        orders = "name joined_members joined_local_members state_events version federatable public encryption"
        yield from _sorted(
            who, f"{S1}/rooms?{page}", orders, {"rooms": Each(ROOM_OF_LIST), "total_rooms": ...}
        )
        yield Asked(who, "GET", f"{S1}/rooms?{page}search_term=Doomed", {"total_rooms": 2})
        statistics = {"user_id": ..., "displayname": ..., "media_count": ..., "media_length": ...}
        orders = "user_id displayname media_count media_length"
        answer = {"users": Each(statistics), "total": ...}
        yield from _sorted(who, f"{S1}/statistics/users/media?{page}", orders, answer)
        orders = "received_ts id user_id score name"
        answer = {"event_reports": Each(REPORT), "total": 2}
        yield from _sorted(who, f"{S1}/event_reports?{page}", orders, answer)
        yield Asked(who, "GET", f"{S1}/event_reports", ANY, keeps={"report": "event_reports.0.id"})
        yield Asked(who, "GET", f"{S1}/event_reports/{{report}}", {**REPORT, "event_json": EVENT})
        yield from _sorted(who, f"{CLIENT}/{version}/publicRooms?{page}", "id avatar_src name", DIRECTORY)
        orders = "destination failure_ts retry_last_ts retry_interval last_successful_stream_ordering"
        answer = {"destinations": ..., "total": ...}
        yield from _sorted(who, f"{S1}/federation/destinations?{page}", orders, answer)
        yield Asked(who, "GET", f"{S1}/registration_tokens?{page}valid=true", {"registration_tokens": ...})
        yield Asked(who, "GET", f"{S2}/users/{{alice}}", {**USER, "name": "{!alice}", "displayname": "Alice"})
        answer = {"devices": Each(DEVICE), "total": ...}
        yield Asked(who, "GET", f"{S2}/users/{{alice}}/devices?{below}", answer)
        yield Asked(who, "GET", f"{S1}/whois/{{alice}}", WHOIS)
        orders = "media_id created_ts last_access_ts media_length media_type upload_name quarantined_by"
        answer = {"media": Each(MEDIUM), "total": 2}
        yield from _sorted(who, f"{S1}/users/{{alice}}/media?{page}", orders, answer)
        yield Asked(
            who, "GET", f"{S1}/users/{{alice}}/joined_rooms?{below}", {"joined_rooms": ..., "total": 5}
        )
        yield Asked(
            who, "GET", f"{S1}/users/{{alice}}/pushers?{below}", {"pushers": Each(PUSHER), "total": 1}
        )
        yield Asked(who, "GET", f"{S1}/rooms/{{!room}}", {**ROOM, "name": "Room", "topic": "Things"})
        yield Asked(who, "GET", f"{S1}/rooms/{{!room}}/members?{below}", {"members": ..., "total": 4})
        yield Asked(who, "GET", f"{S1}/rooms/{{!room}}/state?{below}", {"state": Each(STATE)})
        yield Asked(who, "GET", f"{S1}/rooms/{{!room}}/forward_extremities?{below}", EXTREMITIES)
        yield from _changes(who, version)


def _changes(who: str, version: str) -> Iterable[Asked]:
    made = f"%40{who.replace(' ', '_').lower()}%3A{{server}}"
    form = {
        "id": "x",
        "displayname": "Zoe",
        "password": "{!password}",
        "admin": False,
        "user_type": None,
        "threepids": [{"medium": "email", "address": f"{who.split()[0]}@example.org"}],
        "external_ids": [{"auth_provider": "oidc", "external_id": who}],
    }
    created = {**USER, "displayname": "Zoe", "external_ids": Each({"external_id": who})}
    yield Asked(who, "PUT", f"{S2}/users/{made}", created, form)
    # A form that is saved sends all that was read, and what the dashboard has made of it.
    record = {
        "name": "x",
        "is_guest": False,
        "appservice_id": None,
        "creation_ts": 1,
        "creation_ts_ms": 1000,
        "admin": False,
        "deactivated": False,
        "erased": False,
        "locked": False,
        "shadow_banned": False,
        "id": "x",
        "avatar_src": None,
        "user_type": None,
        "last_seen_ts": 5,
        "suspended": False,
        "displayname": "Zoe 2",
        "threepids": [{"medium": "email", "address": "x@example.org", "added_at": 1, "validated_at": 1}],
    }
    for changed in ({}, {"locked": True}, {"admin": True}, {"user_type": "bot"}, {"deactivated": True}):
        yield Asked(
            who, "PUT", f"{S2}/users/{made}", {**USER, "displayname": "Zoe 2", **changed}, record | changed
        )
    again = {"deactivated": False, "password": "another {!password}"}
    yield Asked(who, "PUT", f"{S2}/users/{made}", {**USER, "deactivated": False}, record | again)
    yield Asked(who, "POST", f"{S1}/deactivate/{made}", {"id_server_unbind_result": ...}, {"erase": True})
    notice = {"user_id": "{!carol}", "content": {"msgtype": "m.text", "body": "hello"}}
    yield Asked(who, "POST", f"{S1}/send_server_notice", {"event_id": ...}, notice)
    token = {"token": made[3:9], "length": 16, "uses_allowed": 3, "expiry_time": 4102444800000}
    yield Asked(who, "POST", f"{S1}/registration_tokens/new", {**TOKEN, "uses_allowed": 3}, token)
    yield Asked(who, "POST", f"{S1}/registration_tokens/new", TOKEN, {"length": 16})
    change = {**token, "id": made[3:9], "pending": 0, "completed": 0, "uses_allowed": 5}
    path = f"{S1}/registration_tokens/{made[3:9]}"
    yield Asked(who, "GET", path, TOKEN)
    yield Asked(who, "PUT", path, {**TOKEN, "uses_allowed": 5}, change)
    yield Asked(who, "DELETE", path, ANY)
    for visibility in ("public", "private"):
        path = f"{CLIENT}/{version}/directory/list/room/{{!closed}}"
        yield Asked(who, "PUT", path, ANY, {"visibility": visibility})
    for action in ("protect", "unprotect"):
        yield Asked(who, "POST", f"{S1}/media/{action}/{{second}}", ANY)
    for action in ("quarantine", "unquarantine"):
        yield Asked(who, "POST", f"{S1}/media/{action}/{{!server}}/{{second}}", ANY)
    query = "before_ts=1000&size_gt=0&keep_profiles=true"
    yield Asked(who, "POST", f"{S1}/media/delete?{query}", {"deleted_media": [], "total": 0})
    yield Asked(who, "DELETE", f"{S1}/rooms/{{!room}}/forward_extremities", {"deleted": 0})


def _import() -> Iterable[Asked]:
    """Users of a CSV file: each is looked for first, and made with all columns that the file has."""
    who = "Synapse Admin's import"
    rows: tuple[dict[str, Any], ...] = (
        {"displayname": "Ümit, of the file", "password": "{!password}", "is_guest": "false", "admin": False},
        {"displayname": "", "user_type": None, "deactivated": False, "password": "a1!{!password}"},
    )
    for number, row in enumerate(rows):
        path = f"{S2}/users/%40csv.{number}%2Fof%3Dfile%3A{{server}}"
        name = f"@csv.{number}/of=file:{{!server}}"
        yield Asked(who, "GET", path, {"errcode": "M_NOT_FOUND", "error": ...}, status=404)
        yield Asked(who, "PUT", path, {**USER, "name": name}, {"id": name, **row})
        yield Asked(who, "GET", path, {**USER, "displayname": row["displayname"] or None})
    everybody = f"{S2}/users?from=0&limit=1000&guests=true&deactivated=true&locked=true"
    yield Asked("Synapse Admin's export", "GET", everybody, {"users": Each(USER_OF_LIST)})
    for number in range(len(rows)):
        path = f"{S1}/deactivate/%40csv.{number}%2Fof%3Dfile%3A{{server}}"
        yield Asked("Synapse Admin's bulk deletion", "POST", path, ANY, {"erase": True})


def _avatar() -> Iterable[Asked]:
    who = "Ketesa's avatars"
    keeps = {"avatar": "content_uri"}
    path = "/_matrix/media/v3/upload?filename=%C3%BCber%20uns.png"
    yield Asked(who, "POST", path, {"content_uri": ...}, PICTURE + b"avatar", keeps=keeps)
    for wanted, told in (("{!avatar}", "{!avatar}"), ("", None)):
        body = {"avatar_url": wanted}
        yield Asked(who, "PUT", f"{S2}/users/{{dave}}", {**USER, "avatar_url": told}, body)
        yield Asked(who, "GET", f"{S2}/users?name=dave", {"users": [{"avatar_url": told}]})


def _attachments() -> Iterable[Asked]:
    """A file of a reported event or a user's list: looked at, saved, and deleted with others."""
    who = "Ketesa's attachments"
    media = f"{CLIENT}/v1/media"
    yield Asked(who, "GET", f"{S1}/media/{{!server}}/{{third}}", {"media_info": {"media_id": "{!third}"}})
    for size in ("width=32&height=32&method=crop", "width=800&height=600&method=scale&animated=true"):
        yield Asked(who, "GET", f"{media}/thumbnail/{{!server}}/{{second}}?{size}", ...)
    for path in ("{!server}/{second}", "{!server}/{second}/{second}.png"):
        yield Asked(who, "GET", f"{media}/download/{path}?allow_redirect=true", ...)
    yield Asked(who, "GET", f"{media}/download/{{!server}}/nothing", {"errcode": "M_NOT_FOUND"}, status=404)
    for name in "ab":
        path, keeps = "/_matrix/media/v3/upload", {name: "content_uri"}
        yield Asked(who, "POST", path, {"content_uri": ...}, PICTURE + name.encode(), keeps=keeps)
    page = f"{S1}/users/{{admin}}/media?from=0&limit=100&order_by=created_ts&dir=b"
    yield Asked(
        who, "GET", page, {"media": Each(MEDIUM)}, keeps={"a": "media.0.media_id", "b": "media.1.media_id"}
    )
    for name in "ab":
        path = f"{S1}/media/{{server}}/{{{name}}}"
        yield Asked(who, "DELETE", path, {"deleted_media": [f"{{!{name}}}"], "total": 1})
        yield Asked(who, "DELETE", path, {"errcode": "M_NOT_FOUND"}, status=404)


def _odd() -> Iterable[Asked]:
    """What dashboards make of fields that are left empty, pages that are gone, and numbers as text."""
    who = "Dashboards"
    users = {"users": [], "total": ...}
    lists = (
        (f"{S2}/users", users),
        (f"{S3}/users", users),
        (f"{S1}/rooms", {"rooms": [], "total_rooms": ..., "offset": ...}),
        (f"{S1}/event_reports", {"event_reports": [], "total": ...}),
        (f"{S1}/user_reports", {"user_reports": [], "total": ...}),
        (f"{S1}/statistics/users/media", users),
        (f"{S1}/federation/destinations", {"destinations": [], "total": ...}),
        (f"{S1}/users/{{alice}}/media", {"media": [], "total": ...}),
    )
    for path, none in lists:
        yield Asked(who, "GET", f"{path}?from=100000&limit=10&_sort=id&filter=%7B%7D&foo[]=1", none)
        yield Asked(who, "GET", f"{path}?from=0&limit=0", none)
        for query in ("limit=-1", "limit=ten", "from=-1", "from=1.5", "dir=up", "order_by=colour"):
            if "reports" in path and query.startswith("order_by"):
                continue
            yield Asked(who, "GET", f"{path}?{query}", {"errcode": "M_INVALID_PARAM"}, status=400)
        yield Asked(who, "PUT", path, UNRECOGNIZED, {}, status=405)
    yield Asked(who, "GET", f"{S1}/nothing", UNRECOGNIZED, status=404)
    nobody = "%40%C3%BCml%C3%A4ut%2F%23%25%3A{server}"
    yield Asked(who, "GET", f"{S2}/users/{nobody}", {"errcode": "M_NOT_FOUND"}, status=404)
    yield Asked(
        who, "GET", f"{S1}/rooms/%21a%2Fb%23%25%C3%BC%3A{{server}}", {"errcode": "M_NOT_FOUND"}, status=404
    )


def _ketesa() -> Iterable[Asked]:
    who = "Ketesa"
    room, alice, dave = f"{S1}/rooms/{{room}}", f"{S1}/users/{{alice}}", f"{S1}/users/{{dave}}"
    page = "from=0&limit=50&order_by=received_ts&dir=b"
    reports = {"id": ..., "received_ts": ..., "user_id": ..., "target_user_id": ..., "reason": ...}
    keeps = {"user_report": "user_reports.0.id"}
    answer = {"user_reports": Each(reports), "total": 2}
    yield Asked(who, "GET", f"{S1}/user_reports?{page}", answer, keeps=keeps)
    yield Asked(who, "GET", f"{S1}/user_reports/{{user_report}}", reports)
    yield Asked(who, "DELETE", f"{S1}/user_reports/{{user_report}}", ANY)
    yield Asked(who, "GET", f"{S1}/event_reports?{page}&user_id=bo&room_id=!", {"total": 2})
    yield Asked(
        who, "GET", f"{S1}/scheduled_tasks?from=0&limit=50&order_by=id&dir=b", {"scheduled_tasks": []}
    )
    sizes = {"rooms": Each({"room_id": ..., "estimated_size": ...})}
    yield Asked(who, "GET", f"{S1}/statistics/database/rooms", sizes)
    yield Asked(who, "GET", f"{CLIENT}/v3/profile/@admin:{{!server}}", {"displayname": ...})
    yield Asked(who, "GET", f"{alice}/memberships?from=0&limit=10", {"memberships": {"{!room}": "join"}})
    features = f"{S1}/experimental_features/{{alice}}"
    yield Asked(who, "GET", features, {"features": ...})
    yield Asked(who, "PUT", features, ANY, {"features": {"msc3881": False}})
    yield Asked(who, "GET", f"{alice}/override_ratelimit", ANY)
    rates = {"messages_per_second": 5, "burst_count": 9}
    yield Asked(who, "POST", f"{alice}/override_ratelimit", rates, rates)
    yield Asked(who, "DELETE", f"{alice}/override_ratelimit", ANY)
    yield Asked(who, "GET", f"{alice}/sent_invite_count?from_ts=0", {"invite_count": 1})
    yield Asked(
        who, "GET", f"{alice}/cumulative_joined_room_count?from_ts=0", {"cumulative_joined_room_count": 5}
    )
    yield Asked(who, "GET", f"{alice}/accountdata", {"account_data": {"global": ..., "rooms": ...}})
    yield Asked(who, "GET", f"{S1}/username_available?username=fresh", {"available": True})
    devices = f"{S2}/users/{{dave}}/devices"
    yield Asked(who, "POST", devices, ANY, {"device_id": "NEW"})
    yield Asked(who, "PUT", f"{devices}/NEW", ANY, {"display_name": "new"})
    yield Asked(who, "POST", f"{S2}/users/{{dave}}/delete_devices", ANY, {"devices": ["NEW"]})
    yield Asked(who, "GET", f"{S1}/room/{{!room}}/media?from=0&limit=10", {"local": ..., "remote": []})
    yield Asked(who, "GET", f"{room}/block", {"block": False})
    yield Asked(who, "PUT", f"{room}/block", {"block": False}, {"block": False})
    after = {"event": "event_id", "ts": "origin_server_ts"}
    yield Asked(who, "GET", f"{room}/timestamp_to_event?ts=4102444800000&dir=b", ANY, keeps=after)
    yield Asked(who, "GET", f"{room}/context/{{event}}?limit=0", {"end": ...}, keeps={"end": "end"})
    answer = {"chunk": Each({"event_id": ..., "sender": ..., "type": ...}), "start": ..., "end": ...}
    yield Asked(who, "GET", f"{room}/messages?from={{end}}&limit=20&dir=b", answer)
    yield Asked(who, "GET", f"{room}/messages?from=&limit=20&dir=b", answer)
    answer = {"rooms": Each({"room_id": ..., "num_joined_members": ..., "children_state": ...})}
    yield Asked(who, "GET", f"{S1}/rooms/{{space}}/hierarchy?limit=50", answer)
    answer = {"event": {"content": ..., "sender": ..., "type": ...}}
    yield Asked(who, "GET", f"{S1}/fetch_event/{{event_1}}", answer)
    yield Asked(who, "POST", f"{S1}/join/{{room}}", {"room_id": "{!room}"}, {"user_id": "{!erin}"})
    yield Asked(who, "POST", f"{room}/make_room_admin", ANY, {"user_id": "{!alice}"})
    for suspend in (True, False):
        yield Asked(who, "PUT", f"{S1}/suspend/{{dave}}", ANY, {"suspend": suspend})
    yield Asked(who, "POST", f"{dave}/shadow_ban", ANY)
    yield Asked(who, "DELETE", f"{dave}/shadow_ban", ANY)
    new = {"new_password": "another {!password}", "logout_devices": True}
    yield Asked(who, "POST", f"{S1}/reset_password/{{dave}}", ANY, new)
    yield Asked(who, "POST", f"{dave}/login", {"access_token": ...}, {"valid_until_ms": 4102444800000})
    answer = {"updatable_without_uia_before_ms": ...}
    yield Asked(who, "POST", f"{alice}/_allow_cross_signing_replacement_without_uia", answer, {})
    settings = f"{CLIENT}/v3/user/{{admin}}/account_data/io.element.synapse.admin_client_config"
    yield Asked(who, "PUT", settings, ANY, {"return_soft_failed_events": True})
    yield Asked(who, "GET", settings, {"return_soft_failed_events": True})
    path = f"{CLIENT}/v1/media/download/{{!server}}/{{second}}?admin_unsafely_bypass_quarantine=true"
    yield Asked(who, "GET", path, ...)
    yield Asked(who, "GET", f"{CLIENT}/v1/media/thumbnail/{{!server}}/{{second}}?width=32&height=32", ...)
    yield Asked(who, "POST", f"{S1}/purge_media_cache?before_ts=4102444800", {"deleted": 0})
    redact = f"{S1}/user/{{dave}}/redact"
    yield Asked(who, "POST", redact, ANY, {"rooms": []}, keeps={"redact": "redact_id"})
    answer = {"status": "complete", "failed_redactions": {}}
    yield Asked(who, "GET", f"{S1}/user/redact_status/{{redact}}", answer, until=COMPLETE)
    yield Asked(
        who, "POST", f"{room}/media/quarantine".replace("/rooms/", "/room/"), {"num_quarantined": ...}, {}
    )
    yield Asked(who, "POST", f"{S1}/user/{{carol}}/media/quarantine", {"num_quarantined": 1}, {})
    yield Asked(who, "DELETE", f"{S1}/users/{{carol}}/media", {"deleted_media": ..., "total": 1})
    yield Asked(who, "DELETE", f"{S1}/media/{{!server}}/{{third}}", {"total": 1})
    purge = {"purge_up_to_ts": 4102444800000, "delete_local_events": False}
    yield Asked(who, "POST", f"{S1}/purge_history/{{room}}", ANY, purge, keeps={"purge": "purge_id"})
    yield Asked(who, "GET", f"{S1}/purge_history_status/{{purge}}", COMPLETE, until=COMPLETE)
    body = {"block": True, "purge": True, "force_purge": False}
    yield Asked(who, "DELETE", f"{S2}/rooms/{{doomed}}", ANY, body, keeps={"deletion": "delete_id"})
    yield Asked(who, "GET", f"{S2}/rooms/delete_status/{{deletion}}", COMPLETE, until=COMPLETE)
    yield Asked(who, "DELETE", f"{S1}/event_reports/{{report}}", ANY)


def _synapse_admin() -> Iterable[Asked]:
    who = "Synapse Admin"
    yield Asked(who, "DELETE", f"{S2}/users/{{carol}}/devices/{{carol_device}}", ANY)
    yield Asked(who, "DELETE", f"{S2}/rooms/{{!doomed_2}}", {"delete_id": ...}, {"block": False})
    yield Asked(who, "POST", f"{CLIENT}/r0/rooms/{{!room}}/join", {"room_id": ...}, {})


def _mjolnir() -> Iterable[Asked]:
    who = "Mjolnir"
    yield Asked(who, "GET", f"{S1}/users/{{!admin}}/admin", {"admin": True})
    answer = {"event_reports": Each({"room_id": ..., "event_id": ..., "sender": ..., "reason": ...})}
    yield Asked(who, "GET", f"{S1}/event_reports?dir=f&from=0", answer)
    path = f"{S1}/rooms/{{!room}}/context/{{!event_0}}?limit=1"
    yield Asked(who, "GET", path, {"event": EVENT})
    yield Asked(who, "GET", f"{CLIENT}/v3/capabilities", {"capabilities": {"m.room_versions": ...}})
    for locked in (True, False):
        yield Asked(who, "PUT", f"{S2}/users/{{!bob}}", {"locked": locked}, {"locked": locked})
    for suspend in (True, False):
        yield Asked(who, "PUT", f"{S1}/suspend/{{!bob}}", ANY, {"suspend": suspend})
    body = {"limit": 1000, "rooms": ["{!room}"], "use_admin": True}
    yield Asked(who, "POST", f"{S1}/user/{{!bob}}/redact", {"redact_id": ...}, body)
    yield Asked(who, "POST", f"{S1}/media/quarantine/{{server}}/{{picture}}", ANY, {})
    yield Asked(who, "POST", f"{S1}/rooms/{{!closed}}/make_room_admin", ANY, {"user_id": "{!alice}"})
    body = {"new_room_user_id": "{!admin}", "block": True, "message": "Gone", "room_name": "Room removed"}
    answer = {
        "kicked_users": ["{!alice}"],
        "failed_to_kick_users": [],
        "local_aliases": [],
        "new_room_id": ...,
    }
    yield Asked(who, "DELETE", f"{S1}/rooms/{{!closed}}", answer, body)
    yield Asked(who, "POST", f"{S1}/deactivate/{{!erin}}", {"id_server_unbind_result": "success"})


def _draupnir() -> Iterable[Asked]:
    who = "Draupnir"
    yield Asked(who, "GET", f"{S1}/users/{{admin}}/admin", {"admin": True})
    yield Asked(
        who, "GET", f"{S1}/rooms?limit=2&order_by=joined_members&dir=b", {"next_batch": 2, "offset": 0}
    )
    yield Asked(who, "GET", f"{S1}/rooms/{{room}}", ROOM)
    yield Asked(who, "GET", f"{S1}/rooms/{{room}}/block", {"block": False})
    read = {"admin": False, "user_type": None, "deactivated": False, "erased": False, "shadow_banned": False}
    yield Asked(who, "GET", f"{S2}/users/{{bob}}", {**USER, **read, "last_seen_ts": ...})
    yield Asked(who, "POST", f"{S1}/users/{{bob}}/shadow_ban", ANY, {})
    yield Asked(who, "DELETE", f"{S1}/users/{{bob}}/shadow_ban", ANY, {})
    keeps = {"redact": "redact_id"}
    yield Asked(who, "POST", f"{S1}/user/{{bob}}/redact", ANY, {"rooms": []}, keeps=keeps)
    answer = {"status": "complete", "failed_redactions": {}}
    yield Asked(who, "GET", f"{S1}/user/redact_status/{{redact}}", answer, until=COMPLETE)
    body = {"new_room_user_id": "{!admin}", "block": True}
    yield Asked(who, "DELETE", f"{S1}/rooms/{{space}}", {"new_room_id": ...}, body)
    yield Asked(who, "DELETE", f"{S2}/rooms/{{room}}", {"delete_id": ...}, {"block": True, "purge": True})
    yield Asked(who, "POST", f"{S1}/deactivate/{{dave}}", {"id_server_unbind_result": ...}, {"erase": False})


REQUESTS = (
    *_both(),
    *_import(),
    *_avatar(),
    *_attachments(),
    *_odd(),
    *_ketesa(),
    *_synapse_admin(),
    *_mjolnir(),
    *_draupnir(),
)
