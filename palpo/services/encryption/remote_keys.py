"""The keys of other servers' users, and the devices of theirs that messages are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from palpo.core.identifiers import UserId
from palpo.db.transaction import WriteTransaction


@dataclass(frozen=True, slots=True, kw_only=True)
class QueriedKeys:
    """Keys by user; ``failures`` by server that could not be asked."""

    device_keys: dict[str, dict[str, msgspec.Raw]] = field(default_factory=dict)
    cross_signing: dict[str, dict[str, msgspec.Raw]] = field(default_factory=dict)
    """Usage → user → key."""
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, other: QueriedKeys) -> None:
        """Take over what ``other`` has, of other users and servers."""
        self.device_keys.update(other.device_keys)
        for usage, keys in other.cross_signing.items():
            self.cross_signing.setdefault(usage, {}).update(keys)
        self.failures.update(other.failures)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedKeys:
    """User → device → ``algorithm:key_id`` → key; ``failures`` by server that could not be asked."""

    one_time_keys: dict[str, dict[str, dict[str, msgspec.Raw]]] = field(default_factory=dict)
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, other: ClaimedKeys) -> None:
        """Take over what ``other`` has, of other users and servers."""
        self.one_time_keys.update(other.one_time_keys)
        self.failures.update(other.failures)


class RemoteKeys(Protocol):
    """Asks other servers for the keys of their users."""

    async def query(
        self, observer: UserId, wanted: Mapping[str, Sequence[str]], *, within_s: float
    ) -> QueriedKeys:
        """The device and cross-signing keys of users (user → devices, none meaning all), for ``observer``."""
        ...

    async def claim(self, wanted: Mapping[str, Mapping[str, str]], *, within_s: float) -> ClaimedKeys:
        """One one-time key for each device (user → device → algorithm)."""
        ...


class RemoteDevices(Protocol):
    """Has messages sent to devices of other servers' users."""

    async def send(
        self,
        tx: WriteTransaction,
        sender: UserId,
        event_type: str,
        messages: Mapping[str, Mapping[str, Mapping[str, Any]]],
    ) -> int:
        """Have ``messages`` (user → device, or ``*`` → content) sent once the transaction has committed.

        How many bytes they have.
        """
        ...
