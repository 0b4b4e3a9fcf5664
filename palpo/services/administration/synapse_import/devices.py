"""Devices, and the tokens with which their clients go on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from palpo.db.engine import Database
from palpo.services.administration.synapse_import.steps import Source
from palpo.services.administration.synapse_import.user_steps import UserStep, Wanted, canonical
from palpo.storage.sessions import token_hash
from palpo.storage.synapse import here, there
from palpo.storage.synapse.user_rows import Row
from palpo.streams.clock import Clock

LONG_AGO = 1
"""When a token expired of which only the refresh token is known."""


class Devices(UserStep):
    """Devices that are such, also the one that is kept encrypted (MSC3814)."""

    name = "devices"

    async def wanted(self, users: Sequence[str]) -> Wanted:
        """A device was made, as far as is known, when its account was."""
        created = {row["name"]: row["creation_ts"] or 0 for row in await self.all_there(there.USERS, users)}
        devices = [row for row in await self.all_there(there.DEVICES, users) if not row["hidden"]]
        dehydrated = await self.all_there(there.DEHYDRATED_DEVICES, users)
        return {
            here.DEVICES: [_device(row, created[row["user_id"]] * 1000) for row in devices],
            here.DEHYDRATED_DEVICES: [
                {**row, "device_data": canonical(row["device_data"])} for row in dehydrated
            ],
        }


class Tokens(UserStep):
    """Access and refresh tokens: only their hashes are kept here."""

    name = "tokens"

    def __init__(self, source: Source, db: Database, clock: Clock) -> None:
        super().__init__(source, db)
        self._clock = clock

    async def wanted(self, users: Sequence[str]) -> Wanted:
        """Those that work."""
        own = [row for row in await self.all_there(there.ACCESS_TOKENS, users) if not row["puppets_user_id"]]
        others = await self.all_there(there.OTHERS_TOKENS, users)
        known = await self.there(there.DEVICES, users)
        devices = {(user, row["device_id"]) for user, rows in known.items() for row in rows}
        refresh = [row for row in await self.all_there(there.REFRESH_TOKENS, users) if self._lasts(row)]
        found = [
            *_sessions(own, refresh, self._clock.now_ms()),
            *(_of_another(row) for row in others if not self._expired(row["valid_until_ms"])),
        ]
        return {
            here.TOKENS: [
                row
                for row in found
                if row["device_id"] is None or (row["user_id"], row["device_id"]) in devices
            ]
        }

    def _lasts(self, refresh: Row) -> bool:
        ends = refresh["expiry_ts"], refresh["ultimate_session_expiry_ts"]
        return not any(map(self._expired, ends))

    def _expired(self, until_ms: int | None) -> bool:
        return until_ms is not None and until_ms <= self._clock.now_ms()


def _device(row: Row, created_ts: int) -> Row:
    return {
        "user_id": row["user_id"],
        "device_id": row["device_id"],
        "display_name": row["display_name"],
        "created_ts": created_ts,
        "last_seen_ts": row["last_seen"],
        "last_seen_ip": row["ip"],
        "user_agent": row["user_agent"],
    }


def _sessions(access: Sequence[Row], refresh: Sequence[Row], now_ms: int) -> Iterator[Row]:
    """A row for each access token, with the refresh token that came with it, and for each other of these."""
    by_id = {row["id"]: row for row in _working(refresh, access)}
    given = set()
    for row in access:
        with_it = by_id.get(row["refresh_token_id"])
        expired = row["valid_until_ms"] is not None and row["valid_until_ms"] <= now_ms
        if with_it is not None:
            given.add(with_it["id"])
        if with_it is not None or not expired:
            used = row["refresh_token_id"] is None or bool(row["used"])
            yield _session(row, with_it, token_hash(row["token"]), row["valid_until_ms"], used=used)
    for row in by_id.values():
        if row["id"] not in given:
            # Nobody has this as an access token, and it would have expired.
            yield _session(row, row, token_hash(f"refresh {row['token']}"), LONG_AGO, used=True)


def _working(refresh: Iterable[Row], access: Iterable[Row]) -> Iterator[Row]:
    """The refresh tokens that work: not exchanged, or for one of which no access token was used so far."""
    tokens = {row["id"]: row for row in refresh}
    used = {row["refresh_token_id"] for row in access if row["used"]}
    for row in tokens.values():
        following = tokens.get(row["next_token_id"])
        if row["next_token_id"] is None or (following is not None and _is_unused(following, used)):
            yield row


def _is_unused(refresh: Row, used: Collection[int | None]) -> bool:
    """Whether neither a refresh token was exchanged, nor the access token used that came with it."""
    return refresh["next_token_id"] is None and refresh["id"] not in used


def _session(row: Row, refresh: Row | None, hash_: bytes, expires_ts: int | None, *, used: bool) -> Row:
    return {
        "token_hash": hash_,
        "user_id": row["user_id"],
        "device_id": row["device_id"],
        "refresh_hash": token_hash(refresh["token"]) if refresh else None,
        "expires_ts": expires_ts,
        "created_ts": 0,
        "used": int(used),
        "made_by": None,
    }


def _of_another(row: Row) -> Row:
    """A token with which an administrator is logged in as somebody."""
    session = _session(row, None, token_hash(row["token"]), row["valid_until_ms"], used=True)
    return {**session, "user_id": row["puppets_user_id"], "made_by": row["user_id"]}
