"""What is asked for: each page, and each list of the admin API."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from bench.admin_pages.filling import Names, Size

PAGES, API = "/_palpo/admin", "/_synapse/admin"
CSRF = re.compile(r'name="csrf" value="([^"]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """How long a path took: milliseconds of each time that it was asked for."""

    path: str
    times: list[float]
    size: int
    """Bytes of the answer."""

    @property
    def median(self) -> float:
        """Half of the times were quicker."""
        return statistics.median(self.times)

    @property
    def worst(self) -> float:
        """The longest, the first included, for which nothing is in memory."""
        return max(self.times)


def paths(names: Names, size: Size, name: str) -> Iterator[str]:
    """Every page with its usual filters, at its beginning, middle and end; every list likewise."""
    yield from _pages(names, size, name)
    yield from _lists(names, size)


def _pages(names: Names, size: Size, name: str) -> Iterator[str]:
    user = quote(names.user(1))
    middle = max(1, size.users // 100)
    yield f"{PAGES}/"
    for search in ("", "amber", "000123", "nobody-at-all"):
        yield f"{PAGES}/users?search={search}"
    yield from (f"{PAGES}/users?page={page}" for page in (2, middle, middle * 2))
    yield f"{PAGES}/users/{user}"
    yield f"{PAGES}/users/{quote(f'@admin:{name}')}"
    yield from (f"{PAGES}/rooms?page={page}" for page in (1, 1 + size.rooms // 100, 1 + size.rooms // 50))
    yield from (f"{PAGES}/rooms?search={search}" for search in ("birch", "4999", "nothing at all"))
    yield from (f"{PAGES}/rooms/{quote(names.room(number))}" for number in (0, 50, size.rooms - 1))
    yield f"{PAGES}/media"
    yield f"{PAGES}/media?uri={quote(names.mxc(5))}"
    yield from (f"{PAGES}/media?room={quote(names.room(number))}" for number in (0, 50, size.rooms - 1))
    for about in ("", "event", "room", "user"):
        yield from (f"{PAGES}/reports?about={about}&page={page}" for page in (1, 1 + size.reports // 300))
    yield f"{PAGES}/registration-tokens"
    yield f"{PAGES}/registration-tokens?page={size.registration_tokens // 50}"
    yield from (
        f"{PAGES}/servers?page={page}" for page in (1, 1 + size.servers // 100, 1 + size.servers // 50)
    )
    yield f"{PAGES}/servers?search=s77"
    yield f"{PAGES}/servers/s4.example.org"
    for plain in ("appservices", "jobs", "jobs/job00000001", "backups", "sessions", "conformance"):
        yield f"{PAGES}/{plain}"
    yield f"{PAGES}/configuration"
    yield f"{PAGES}/configuration?search=media"
    yield f"{PAGES}/audit-log"
    yield f"{PAGES}/audit-log?before={size.events}"
    yield f"{PAGES}/audit-log?actor={quote(f'@admin:{name}')}"
    yield f"{PAGES}/audit-log?actor={quote('@nobody:example.org')}"


def _lists(names: Names, size: Size) -> Iterator[str]:
    user, room, last = quote(names.user(0)), quote(names.room(0)), size.users * 97 // 100
    for order in ("name", "displayname", "creation_ts", "last_seen_ts", "admin", "user_type", "locked"):
        yield f"{API}/v2/users?order_by={order}"
        yield f"{API}/v2/users?order_by={order}&dir=b&from={last}"
    yield from (
        f"{API}/v2/users?{asked}" for asked in ("name=amber", "name=zz", "guests=false", "deactivated=true")
    )
    yield f"{API}/v3/users?deactivated=true&from=100"
    yield f"{API}/v2/users?admins=true"
    for order in ("name", "joined_members", "version", "state_events", "creator"):
        yield f"{API}/v1/rooms?order_by={order}"
    yield f"{API}/v1/rooms?from={size.rooms // 2}"
    yield f"{API}/v1/rooms?from={size.rooms - 100}&dir=b"
    yield from (
        f"{API}/v1/rooms?{asked}" for asked in ("search_term=birch", "public_rooms=true", "empty_rooms=true")
    )
    yield from (
        f"{API}/v1/rooms/{room}{what}" for what in ("", "/members", "/messages?dir=b&limit=100", "/block")
    )
    yield f"{API}/v1/rooms/{room}/forward_extremities"
    yield f"{API}/v1/rooms/{room}/hierarchy"
    yield f"{API}/v1/rooms/{quote(names.room(20))}/state"
    yield f"{API}/v1/room/{room}/media"
    for what in (
        "joined_rooms",
        "memberships",
        "sent_invite_count?from_ts=0",
        "cumulative_joined_room_count?from_ts=0",
    ):
        yield f"{API}/v1/users/{user}/{what}"
    yield from (
        f"{API}/v1/users/{user}/{what}" for what in ("accountdata", "pushers", "media", "media?from=4000")
    )
    yield from (f"{API}/v1/users/{user}/media?order_by={order}" for order in ("upload_name", "media_length"))
    yield f"{API}/v2/users/{user}"
    yield f"{API}/v2/users/{user}/devices"
    yield f"{API}/v1/whois/{user}"
    yield f"{API}/v1/event_reports"
    yield f"{API}/v1/event_reports?from={size.reports // 6}&dir=f"
    yield f"{API}/v1/event_reports?room_id={room}"
    yield f"{API}/v1/event_reports?event_sender_user_id={user}"
    yield f"{API}/v1/registration_tokens"
    yield f"{API}/v1/federation/destinations"
    yield from (
        f"{API}/v1/federation/destinations?order_by={order}&from={size.servers - 100}"
        for order in ("retry_last_ts", "last_successful_stream_ordering")
    )
    yield f"{API}/v1/federation/destinations/s4.example.org/rooms"
    for order in ("user_id", "displayname", "media_length", "media_count"):
        yield f"{API}/v1/statistics/users/media?order_by={order}"
    yield f"{API}/v1/statistics/users/media?search_term=amber"
    yield f"{API}/v1/statistics/users/media?from_ts=1770000000000"
    yield f"{API}/v1/statistics/database/rooms"
    yield f"{API}/v1/scheduled_tasks"
    yield f"{API}/v1/media/quarantine_changes"


class Asker:
    """An administrator, with a browser and with a token."""

    def __init__(self, port: int, token: str) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        self._token = {"Authorization": f"Bearer {token}"}

    def sign_in(self, user: str, password: str) -> None:
        """In the browser; raises RuntimeError."""
        path = "/_palpo/account/login?next=/_palpo/admin/"
        found = CSRF.search(self._http.get(path).text)
        fields = {"csrf": found[1] if found else "", "user": user, "password": password}
        answer = self._http.post(path, data=fields, headers={"Origin": str(self._http.base_url)})
        if answer.status_code != 303:
            raise RuntimeError(f"cannot sign in: {answer.status_code} {answer.text[:500]}")

    def bring_up_to_date(self) -> None:
        """What a server would have done of its own accord some minutes after its start."""
        path = f"{API}/v1/background_updates"
        body = {"job_name": "populate_stats_process_rooms"}
        self._http.post(f"{path}/start_job", headers=self._token, json=body).raise_for_status()
        while self._http.get(f"{path}/status", headers=self._token).json()["current_updates"]:
            time.sleep(0.2)

    def time(self, path: str, rounds: int) -> Timed:
        """Ask for a path; raises RuntimeError for what is no answer."""
        times: list[float] = []
        size = 0
        for _ in range(rounds):
            began = time.perf_counter()
            answer = self._http.get(path, headers=self._token if path.startswith(API) else {})
            times.append(1000 * (time.perf_counter() - began))
            size = len(answer.content)
            if answer.status_code != 200:
                raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:500]}")
        return Timed(path=path, times=times, size=size)
