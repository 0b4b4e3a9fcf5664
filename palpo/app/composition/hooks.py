"""Who is told of what, though it is constructed after whoever tells it.

Whoever tells takes an iterable of callables in its constructor: a ``Listeners``, which is filled once, when
all services are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from palpo.api.services import Services
from palpo.core.identifiers import RoomAlias, UserId
from palpo.services.accounts import accounts, appservices, device_removal, devices, logins, profiles
from palpo.services.history import room_writer
from palpo.services.personal import push_rules
from palpo.services.rooms import memberships

Listener = TypeVar("Listener")


class Listeners(Generic[Listener]):
    """Callables that are not known yet."""

    def __init__(self) -> None:
        self._all: tuple[Listener, ...] | None = None

    def fill(self, *listeners: Listener) -> None:
        """These are all, in the order in which they are told. Raises RuntimeError the second time."""
        if self._all is not None:
            raise RuntimeError("The listeners are known already")
        self._all = listeners

    def __iter__(self) -> Iterator[Listener]:
        """Raises RuntimeError before it is filled: nobody is there to be told yet."""
        if self._all is None:
            raise RuntimeError("The listeners are not known yet")
        return iter(self._all)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """All of them, by what happens."""

    deactivation: Listeners[accounts.DeactivationHook] = field(default_factory=Listeners)
    device_removal: Listeners[device_removal.Hook] = field(default_factory=Listeners)
    profile_change: Listeners[profiles.Hook] = field(default_factory=Listeners)
    push_change: Listeners[push_rules.Hook] = field(default_factory=Listeners)
    """Before it: of what decides whether a user is notified."""
    leave: Listeners[memberships.LeaveCheck] = field(default_factory=Listeners)
    countersign: Listeners[room_writer.Countersigner] = field(default_factory=Listeners)
    password_check: Listeners[logins.PasswordCheck] = field(default_factory=Listeners)
    unknown_user: Listeners[appservices.Offer[UserId]] = field(default_factory=Listeners)
    unknown_alias: Listeners[appservices.Offer[RoomAlias]] = field(default_factory=Listeners)


def connect(hooks: Hooks, services: Services) -> None:
    """Fill all of them."""
    hooks.deactivation.fill(services.rooms.memberships.user_gone)
    hooks.device_removal.fill(services.personal.account_data.forget_devices, devices.tell_of_removal)
    hooks.profile_change.fill(
        services.rooms.memberships.refresh_profile, services.personal.presence.profile_changed
    )
    hooks.push_change.fill(services.push.unread.settle)
    hooks.leave.fill(services.rooms.server_notices.check_rejection)
    directories = services.sign_on.directories
    hooks.password_check.fill(*([directories.check] if services.server.config.ldap else []))
    federates = services.server.config.federation.enabled
    hooks.countersign.fill(*([services.federation.policy_servers] if federates else []))
    asked = [services.appservices.appservice_queries] if services.server.registrations else []
    hooks.unknown_user.fill(*(queries.offer_user for queries in asked))
    hooks.unknown_alias.fill(*(queries.offer_alias for queries in asked))
