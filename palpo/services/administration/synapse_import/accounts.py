"""Accounts with their passwords, and what belongs to an account as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palpo.core.canonical_json import to_json
from palpo.core.identifiers import UserId
from palpo.core.user_words import words_of_user
from palpo.services.administration.synapse_import.user_steps import UserStep, Wanted, parsed
from palpo.storage.accounts import listed, listed_avatar
from palpo.storage.synapse import here, there
from palpo.storage.synapse.user_rows import Row
from palpo.storage.threepids import Binding


class Accounts(UserStep):
    """Users, found by their names, and what they say of themselves."""

    name = "accounts"

    async def wanted(self, users: Sequence[str]) -> Wanted:
        """An account each, with what lists of users are sorted by."""
        accounts = await self.all_there(there.USERS, users)
        erased = {row["user_id"] for row in await self.all_there(there.ERASED, users)}
        pending = {row["user_id"] for row in await self.all_there(there.PENDING_DEACTIVATIONS, users)}
        devices = await self.there(there.DEVICES, users)
        profiles = {row["full_user_id"]: _fields(row) for row in await self.all_there(there.PROFILES, users)}
        found = [
            _account(row, profiles.get(row["name"], {}), devices[row["name"]], row["name"] in erased)
            for row in accounts
        ]
        return {
            here.USERS: found,
            here.DEACTIVATIONS: [{"user_id": user, "erase": int(user in erased)} for user in sorted(pending)],
            here.WORDS: [word for row in found for word in _words(row, profiles.get(row["user_id"], {}))],
            here.PROFILES: [
                {"user_id": user, "fields": to_json(fields), "position": 0}
                for user, fields in profiles.items()
                if fields
            ],
        }


class AccountSettings(UserStep):
    """What administrators and other servers say of users."""

    name = "account settings"

    async def wanted(self, users: Sequence[str]) -> Wanted:
        """Limits of rates, addresses, and who users are elsewhere."""
        limits = await self.all_there(there.RATE_LIMITS, users)
        threepids = await self.all_there(there.THREEPIDS, users)
        bindings = await self.all_there(there.BINDINGS, users)
        return {
            here.RATE_LIMITS: [
                {
                    "user_id": row["user_id"],
                    "per_second": row["messages_per_second"] or 0,
                    "burst": row["burst_count"] or 0,
                }
                for row in limits
            ],
            here.THREEPIDS: list(map(_threepid, threepids)),
            here.BINDINGS: list(map(_binding, bindings)),
            here.EXTERNAL_IDS: await self.all_there(there.EXTERNAL_IDS, users),
        }


def _account(row: Row, fields: dict[str, Any], devices: Sequence[Row], erased: bool) -> Row:
    """An account. Who was not approved yet cannot log in there, and is locked here."""
    gone = bool(row["deactivated"])
    seen = [device["last_seen"] or 0 for device in devices if not device["hidden"]]
    return {
        "user_id": row["name"],
        "password_hash": None if gone else row["password_hash"] or None,
        "created_ts": (row["creation_ts"] or 0) * 1000,
        "is_guest": int(bool(row["is_guest"])),
        "is_admin": int(bool(row["admin"])),
        "appservice_id": row["appservice_id"] or None,
        "deactivated": int(gone),
        "erased": int(erased),
        "locked": int(bool(row["locked"]) or row["approved"] in (0, False)),
        "suspended": int(bool(row["suspended"])),
        "shadow_banned": int(bool(row["shadow_banned"])),
        "user_type": row["user_type"] or None,
        "list_name": listed(_text(fields.get("displayname"))),
        "list_avatar": listed_avatar(_text(fields.get("avatar_url"))),
        "last_seen_ts": max(seen, default=0),
    }


def _words(account: Row, fields: dict[str, Any]) -> list[Row]:
    """What a user is found by in the directory."""
    if account["deactivated"]:
        return []
    words = words_of_user(account["user_id"], fields.get("displayname"))
    return [{"word": word, "user_id": account["user_id"]} for word in sorted(set(words))]


def _fields(row: Row) -> dict[str, Any]:
    """All fields of a profile that are set."""
    named = {name: row[name] for name in ("displayname", "avatar_url") if row[name]}
    return {**(parsed(row["fields"]) or {}), **named}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _threepid(row: Row) -> Row:
    return {
        "medium": row["medium"],
        "address": row["address"].casefold() if row["medium"] == "email" else row["address"],
        "user_id": row["user_id"],
        "validated_ts": row["validated_at"],
        "added_ts": row["added_at"],
    }


def _binding(row: Row) -> Row:
    binding = Binding(
        user_id=UserId(row["user_id"]),
        medium=row["medium"],
        address=row["address"],
        id_server=row["id_server"],
    )
    return {**row, "binding_hash": binding.hash}
