"""What clients are told of other services, and of other users."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from palpo.config.marks import SECRET
from palpo.config.section import Section


class TurnConfig(Section, frozen=True):
    """A TURN server for calls, which shares a secret with this one."""

    uris: Annotated[
        tuple[str, ...], Meta(description="`turn:` and `turns:` URIs; none: no TURN server.")
    ] = ()
    shared_secret: Annotated[str, Meta(description="The TURN server's `static-auth-secret`."), SECRET] = ""
    lifetime_seconds: Annotated[int, Meta(ge=60, description="How long credentials are good.")] = 86_400


class WellKnownConfig(Section, frozen=True):
    """What `/.well-known/matrix/…` tells beside `public_url`."""

    server: Annotated[str, Meta(description="`host:port` that other servers are sent to; empty: none.")] = ""
    support_page: Annotated[str, Meta(description="URL of a page that helps users.")] = ""
    admin_email: Annotated[str, Meta(description="Where to reach the administrators.")] = ""
    admin_matrix_id: Annotated[str, Meta(description="User ID of an administrator.")] = ""
    security_email: Annotated[str, Meta(description="Where to report security issues.")] = ""
    policy_server_key: Annotated[
        str,
        Meta(
            pattern="^([A-Za-z0-9+/_-]{43})?$",
            description="The ed25519 public key, in unpadded base64, of a policy server that has this "
            "server's name; empty: there is none.",
        ),
    ] = ""


class RtcConfig(Section, frozen=True):
    """MatrixRTC (MSC4143): through what the members of calls reach each other."""

    transports: Annotated[
        tuple[dict[str, Any], ...],
        Meta(
            description="What clients are told, each with a `type` and what that type asks for, as "
            '`{ type = "livekit", livekit_service_url = "https://livekit.example.org" }`.'
        ),
    ] = ()


class PushConfig(Section, frozen=True):
    """Push notifications."""

    legacy_mentions: Annotated[
        bool,
        Meta(description="Keep the rules of before v1.17 that look for the user's name in the text."),
    ] = False
    polls: Annotated[bool, Meta(description="The rules for polls (MSC3930), under unstable names.")] = True
    thread_subscriptions: Annotated[
        bool,
        Meta(
            description="Rules by which threads that a user does not follow are silent (MSC4306); clients "
            "that cannot follow threads have no notifications of them then."
        ),
    ] = False
    allow_http: Annotated[bool, Meta(description="Pushers may use `http://`: for tests only.")] = False


class PresenceConfig(Section, frozen=True):
    """Presence."""

    enabled: Annotated[bool, Meta(description="Whether users see who is online.")] = True
    idle_seconds: Annotated[float, Meta(gt=0, description="Without activity, until `unavailable`.")] = 300.0
    offline_seconds: Annotated[
        float, Meta(gt=0, description="Without a sync, until a device counts as `offline`.")
    ] = 30.0
