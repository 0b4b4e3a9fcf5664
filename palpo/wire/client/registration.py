"""Making accounts (spec: client-server API, "Account registration"; registration tokens)."""

from __future__ import annotations

from typing import Any, Literal

from palpo.wire.endpoint import Auth, Body, Endpoint, Limit, NoBody, Params, Response, client


class RegisterParams(Params, frozen=True):
    """Query of /register."""

    kind: Literal["user", "guest"] = "user"


class Register(Body, frozen=True):
    """Body of /register."""

    auth: dict[str, Any] | None = None
    type: str | None = None
    """``m.login.application_service`` from an application service, which needs no ``auth``."""
    username: str | None = None
    password: str | None = None
    device_id: str | None = None
    initial_device_display_name: str | None = None
    inhibit_login: bool | None = None
    refresh_token: bool | None = None
    guest_access_token: str | None = None
    """Of the guest whose account is to become a user's (spec: "Guest Access")."""


class Registered(Response, frozen=True):
    """The new account, and its first session unless the login was inhibited."""

    user_id: str
    access_token: str | None = None
    refresh_token: str | None = None
    expires_in_ms: int | None = None
    device_id: str | None = None
    home_server: str | None = None


class UsernameParams(Params, frozen=True):
    """Query of /register/available."""

    username: str


class Available(Response, frozen=True):
    """The username may be registered."""

    available: bool


class TokenParams(Params, frozen=True):
    """Query of the token's validity."""

    token: str


class Validity(Response, frozen=True):
    """Whether a registration token may be used."""

    valid: bool


register: Endpoint[RegisterParams, Register, Registered] = Endpoint(
    operation_id="register",
    method="POST",
    paths=client("/register"),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=RegisterParams,
    body=Register,
    response=Registered,
)

check_username_availability: Endpoint[UsernameParams, NoBody, Available] = Endpoint(
    operation_id="checkUsernameAvailability",
    method="GET",
    paths=client("/register/available"),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=UsernameParams,
    response=Available,
)

registration_token_validity: Endpoint[TokenParams, NoBody, Validity] = Endpoint(
    operation_id="registrationTokenValidity",
    method="GET",
    paths=client("/register/m.login.registration_token/validity", "v1"),
    auth=Auth.NONE,
    limit=Limit.ATTEMPT,
    params=TokenParams,
    response=Validity,
)
