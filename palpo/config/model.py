"""The configuration: one frozen model. Its reference, ``docs/configuration.md``, is made from it."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from palpo.config.marks import LIVE, SECRET
from palpo.config.section import Section
from palpo.config.sign_on import CasConfig, JwtConfig, LdapConfig, OidcConfig, SamlConfig, SsoConfig

PARTS = ("client", "health", "metrics", "admin")
"""What a listener may serve."""

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


class Listener(Section, frozen=True):
    """Where the server listens."""

    bind: Annotated[
        str,
        Meta(
            description="Address and port, `127.0.0.1:8008`, `[::1]:8008` or `[::]:8008` (IPv4 too, unless "
            "another listener has its port); or a Unix socket, `unix:/run/palpo/palpo.sock`."
        ),
    ]
    mode: Annotated[
        str, Meta(pattern="^[0-7]{3}$", description="Of a Unix socket's file: who may connect, as for chmod.")
    ] = "660"
    tls_certificate: Annotated[Path | None, Meta(description="PEM file; with it the port speaks TLS.")] = None
    tls_key: Annotated[Path | None, Meta(description="PEM file of the certificate's private key.")] = None
    engine: Annotated[
        str,
        Meta(
            pattern="^(hypercorn|uvicorn)?$",
            description="`hypercorn` speaks HTTP/2 too, `uvicorn` is faster; empty: `http.engine`.",
        ),
    ] = ""
    serves: Annotated[
        tuple[str, ...],
        Meta(
            description="What is answered here: `client`, `health`, `metrics` (`/_palpo/metrics`), `admin` "
            "(`/_synapse/admin/`, `/_palpo/admin`). Empty: all of it on loopback addresses and Unix sockets, "
            "and elsewhere `client` and `health`."
        ),
    ] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """What is answered here, whether or not that was set."""
        if self.serves:
            return self.serves
        return PARTS if self.is_local else ("client", "health")

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine's own processes can reach it."""
        host = self.bind.rpartition(":")[0].strip("[]")
        if self.bind.startswith("unix:") or host == "localhost":
            return True
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return False

    @property
    def unix_path(self) -> Path | None:
        """The file of a Unix socket; None where the listener has an address."""
        return Path(self.bind.removeprefix("unix:")) if self.bind.startswith("unix:") else None


class HttpConfig(Section, frozen=True):
    """HTTP, on all listeners. The times and bounds keep clients that are slow, or mean no good, from taking
    what others need; nothing that a usual client does comes near them.
    """

    engine: Annotated[
        str,
        Meta(
            pattern="^(hypercorn|uvicorn)?$",
            description="Of listeners that name none; empty: `hypercorn` with TLS, else `uvicorn`.",
        ),
    ] = ""
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="Reverse proxies, as addresses or networks: their `X-Forwarded-For` is believed. So "
            "is that of who connects through a Unix socket."
        ),
    ] = ()
    shutdown_seconds: Annotated[float, Meta(ge=0, description="How long a stop waits for requests.")] = 10.0
    head_seconds: Annotated[float, Meta(gt=0, description="How long a request's head may take.")] = 30.0
    keep_alive_seconds: Annotated[
        float, Meta(gt=0, description="How long a connection may wait for its next request.")
    ] = 75.0
    body_seconds: Annotated[
        float, Meta(gt=0, description="In each such time a request's body ends or brings another 64 KiB.")
    ] = 30.0
    send_seconds: Annotated[
        float, Meta(gt=0, description="In each such time a client takes another 64 KiB of its response.")
    ] = 60.0
    max_connections_per_address: Annotated[
        int, Meta(ge=1, description="Connections of one address at once; proxies that are trusted: any.")
    ] = 4096
    max_requests_per_user: Annotated[
        int, Meta(ge=1, description="Requests of one user at once, those that wait for news among them.")
    ] = 200
    max_requests_per_address: Annotated[
        int, Meta(ge=1, description="Requests without an access token at once, of one address.")
    ] = 100
    body_bytes: Annotated[
        int, Meta(ge=1 << 20, description="Memory for requests' bodies of over 64 KiB that are not uploads.")
    ] = 32 * 1024 * 1024
    body_bytes_per_user: Annotated[
        int, Meta(ge=1 << 16, description="The share of one user, who may have one larger body in it too.")
    ] = 4 * 1024 * 1024
    response_bytes: Annotated[
        int, Meta(ge=1 << 20, description="Memory for responses of over 256 KiB that are not read yet.")
    ] = 128 * 1024 * 1024
    response_bytes_per_user: Annotated[
        int, Meta(ge=1 << 16, description="The share of one user, who may have one larger one in it too.")
    ] = 32 * 1024 * 1024


class DatabaseConfig(Section, frozen=True):
    """The database."""

    url: Annotated[
        str,
        Meta(description="`sqlite:///PATH`, `postgresql://…` or `mysql://…`; empty: SQLite in `data`."),
        SECRET,
    ] = ""
    timeout_seconds: Annotated[
        float,
        Meta(
            gt=0, description="How long a read, or a group of writes, may take before clients are told 503."
        ),
    ] = 10.0
    wait_seconds: Annotated[
        float, Meta(ge=0, description="How long a start waits for a database server that does not answer.")
    ] = 30.0


class RateLimit(Section, frozen=True):
    """A budget: so many calls a second in the long run, so many at once."""

    per_second: Annotated[float, Meta(gt=0, description="Calls a second in the long run.")]
    burst: Annotated[int, Meta(ge=1, description="Calls at once.")]


class RateLimits(Section, frozen=True):
    """Rate limits, by class of endpoint; each user, or address before login, has its own budget of each.

    A budget is `per_second` calls in the long run, and `burst` calls at once; of `written` and `read` they
    are bytes. A call that makes more work than others costs more: a message to many devices, keys of many
    users, a new name for somebody in many rooms. What is over the budget is refused with M_LIMIT_EXCEEDED
    (429).
    """

    enabled: Annotated[bool, Meta(description="Whether there are any.")] = True
    default: Annotated[RateLimit, Meta(description="What has no class of its own: reading, mostly.")] = (
        RateLimit(per_second=50, burst=500)
    )
    message: Annotated[RateLimit, Meta(description="Sending events.")] = RateLimit(per_second=20, burst=100)
    ephemeral: Annotated[RateLimit, Meta(description="Receipts, typing and presence.")] = RateLimit(
        per_second=20, burst=200
    )
    settings: Annotated[
        RateLimit,
        Meta(description="Account data, tags, filters, push rules, pushers, names of devices and the like."),
    ] = RateLimit(per_second=10, burst=200)
    profile: Annotated[
        RateLimit, Meta(description="Changes of profiles; they cost the more the more rooms the user is in.")
    ] = RateLimit(per_second=5, burst=1000)
    sync: Annotated[RateLimit, Meta(description="Syncs of all kinds; one from the beginning costs 20.")] = (
        RateLimit(per_second=50, burst=500)
    )
    search: Annotated[RateLimit, Meta(description="Searching for messages, users and public rooms.")] = (
        RateLimit(per_second=5, burst=60)
    )
    keys: Annotated[
        RateLimit, Meta(description="Keys of devices; 50 users whose keys are asked for cost one more.")
    ] = RateLimit(per_second=50, burst=500)
    backup: Annotated[RateLimit, Meta(description="Key backups.")] = RateLimit(per_second=20, burst=500)
    to_device: Annotated[
        RateLimit, Meta(description="Messages to devices; 20 of them in a request cost one more.")
    ] = RateLimit(per_second=50, burst=1000)
    login: Annotated[RateLimit, Meta(description="Logging in, and refreshing tokens.")] = RateLimit(
        per_second=0.5, burst=10
    )
    interactive: Annotated[
        RateLimit, Meta(description="The stages of registration and the like, and asking how far they are.")
    ] = RateLimit(per_second=5, burst=100)
    attempt: Annotated[
        RateLimit, Meta(description="Trying registration tokens and answers of challenges.")
    ] = RateLimit(per_second=0.5, burst=10)
    registration: Annotated[RateLimit, Meta(description="Making accounts.")] = RateLimit(
        per_second=0.2, burst=10
    )
    room_creation: Annotated[
        RateLimit, Meta(description="Creating and upgrading rooms; 20 invitations cost one more.")
    ] = RateLimit(per_second=1, burst=20)
    join: Annotated[RateLimit, Meta(description="Joining and knocking.")] = RateLimit(per_second=2, burst=20)
    invite: Annotated[RateLimit, Meta(description="Inviting.")] = RateLimit(per_second=2, burst=50)
    media: Annotated[RateLimit, Meta(description="Downloads and thumbnails.")] = RateLimit(
        per_second=100, burst=1000
    )
    upload: Annotated[RateLimit, Meta(description="Uploads.")] = RateLimit(per_second=5, burst=100)
    preview: Annotated[RateLimit, Meta(description="Previews of web pages.")] = RateLimit(
        per_second=5, burst=100
    )
    report: Annotated[RateLimit, Meta(description="Reports of content, rooms and users.")] = RateLimit(
        per_second=0.5, burst=20
    )
    third_party: Annotated[RateLimit, Meta(description="Email addresses, and what is sent to them.")] = (
        RateLimit(per_second=0.5, burst=10)
    )
    notary: Annotated[
        RateLimit, Meta(description="Telling others the keys of servers; each server counts.")
    ] = RateLimit(per_second=20, burst=1000)
    federation: Annotated[RateLimit, Meta(description="What one other server asks.")] = RateLimit(
        per_second=100, burst=2000
    )
    written: Annotated[
        RateLimit, Meta(description="Bytes of everything that is sent to be kept, uploads too.")
    ] = RateLimit(per_second=100 * KIB, burst=512 * MIB)
    federation_written: Annotated[
        RateLimit, Meta(description="Bytes that one other server sends, for all its users.")
    ] = RateLimit(per_second=4 * MIB, burst=1024 * MIB)
    read: Annotated[RateLimit, Meta(description="Bytes of everything that is answered but media.")] = (
        RateLimit(per_second=4 * MIB, burst=256 * MIB)
    )


class Quota(Section, frozen=True):
    """A bound for one user, and one for all users together; 0 is none."""

    user: Annotated[int, Meta(ge=0, description="What one user may have; 0: no limit.")]
    server: Annotated[int, Meta(ge=0, description="What all may have together; 0: no limit.")]


class QuotasConfig(Section, frozen=True):
    """How much users may have stored: `user` is for each, `server` for all of them together; 0: no limit.

    Who has as much as they may have is refused more with M_USER_LIMIT_EXCEEDED (403), and everybody with
    M_RESOURCE_LIMIT_EXCEEDED (403) where the server has. They can still read, delete and log out. Users of
    application services that are not rate-limited, and the services' own, have no bounds of their own.
    What is in use is in the metrics, by the names below.
    """

    enabled: Annotated[bool, Meta(description="Whether there are any bounds.")] = True
    account_data: Annotated[Quota, Meta(description="Entries of account data.")] = Quota(
        user=20_000, server=0
    )
    account_data_bytes: Annotated[
        Quota, Meta(description="Bytes of account data; a client that begins anew is sent all of them.")
    ] = Quota(user=5 * MIB, server=20 * GIB)
    aliases: Annotated[Quota, Meta(description="Room aliases.")] = Quota(user=1000, server=0)
    backup_bytes: Annotated[Quota, Meta(description="Bytes of backed up room keys.")] = Quota(
        user=256 * MIB, server=200 * GIB
    )
    backup_keys: Annotated[Quota, Meta(description="Backed up room keys.")] = Quota(user=400_000, server=0)
    backup_versions: Annotated[Quota, Meta(description="Versions of key backups that were not deleted.")] = (
        Quota(user=50, server=0)
    )
    devices: Annotated[
        Quota, Meta(description="Devices; one more logs out the one that was not used for longest.")
    ] = Quota(user=500, server=0)
    filters: Annotated[Quota, Meta(description="Filters; one more takes the place of the oldest.")] = Quota(
        user=500, server=0
    )
    key_bytes: Annotated[
        Quota, Meta(description="Bytes of device, one-time, fallback and cross-signing keys.")
    ] = Quota(user=16 * MIB, server=20 * GIB)
    media: Annotated[Quota, Meta(description="Uploaded files.")] = Quota(user=100_000, server=0)
    media_bytes: Annotated[Quota, Meta(description="Bytes of uploaded files.")] = Quota(
        user=5 * GIB, server=500 * GIB
    )
    preview_bytes: Annotated[
        Quota, Meta(description="Bytes of previews of web pages and their images; `user` means nothing.")
    ] = Quota(user=0, server=2 * GIB)
    pushers: Annotated[Quota, Meta(description="Pushers.")] = Quota(user=100, server=0)
    remote_media_bytes: Annotated[
        Quota,
        Meta(
            description="Bytes of other servers' media; `user` means nothing, and those downloaded first "
            "make room: they can be downloaded again."
        ),
    ] = Quota(user=0, server=100 * GIB)
    reports: Annotated[Quota, Meta(description="Reports of content, rooms and users.")] = Quota(
        user=1000, server=100_000
    )
    rooms: Annotated[
        Quota, Meta(description="Rooms that a user has made, by upgrades too; rooms stay, also those left.")
    ] = Quota(user=5000, server=0)
    thread_subscriptions: Annotated[Quota, Meta(description="Threads that are, or were, followed.")] = Quota(
        user=20_000, server=0
    )
    thumbnail_bytes: Annotated[
        Quota, Meta(description="Bytes of thumbnails; `user` means nothing, and the oldest make room.")
    ] = Quota(user=0, server=50 * GIB)
    to_device: Annotated[
        Quota,
        Meta(
            description="Messages that wait for a user's devices; of whoever sent most of what waits, the "
            "oldest are dropped."
        ),
    ] = Quota(user=200_000, server=0)
    to_device_bytes: Annotated[Quota, Meta(description="Bytes of these, likewise.")] = Quota(
        user=128 * MIB, server=0
    )


class TermsDocument(Section, frozen=True, kw_only=True):
    """A document that whoever registers has to accept, in one language."""

    policy: Annotated[str, Meta(description="What it is, as `privacy_policy`: the same in all languages.")]
    version: Annotated[str, Meta(description="Its version: the same in all languages.")]
    language: Annotated[str, Meta(description="As `en`.")] = "en"
    name: Annotated[str, Meta(description="Its title.")]
    url: Annotated[str, Meta(pattern="^https?://", description="Where it can be read.")]


class CaptchaConfig(Section, frozen=True):
    """A challenge (`m.login.recaptcha`) for whoever registers."""

    public_key: Annotated[str, Meta(description="The site key; empty: no challenge.")] = ""
    private_key: Annotated[str, Meta(description="The secret key, to check answers with."), SECRET] = ""
    verify_url: Annotated[str, Meta(description="Where answers are checked.")] = (
        "https://www.google.com/recaptcha/api/siteverify"
    )
    script_url: Annotated[
        str, Meta(description="The script of the page for clients that show no challenge.")
    ] = "https://www.google.com/recaptcha/api.js"


class RegistrationConfig(Section, frozen=True):
    """Making accounts."""

    open: Annotated[bool, Meta(description="Anyone may register, with no more than a dummy stage."), LIVE] = (
        False
    )
    token: Annotated[
        str,
        Meta(
            pattern="^[A-Za-z0-9._~-]{0,64}$",
            description="A registration token that always works, at most 64 of A-Z, a-z, 0-9 and `._~-`; "
            "empty: none.",
        ),
        SECRET,
        LIVE,
    ] = ""
    guests: Annotated[bool, Meta(description="Whether guest accounts are given out."), LIVE] = False
    shared_secret: Annotated[
        str, Meta(description="For `/_synapse/admin/v1/register`; empty: off."), SECRET, LIVE
    ] = ""
    email: Annotated[
        str,
        Meta(
            pattern="^(off|optional|required)$",
            description="Whether who registers gives an address: `off`, `optional` or `required`.",
        ),
        LIVE,
    ] = "optional"
    terms: tuple[TermsDocument, ...] = ()
    captcha: CaptchaConfig = CaptchaConfig()


class EmailConfig(Section, frozen=True):
    """Sending email: to validate addresses, to reset passwords, and what is unread."""

    host: Annotated[str, Meta(description="The SMTP server; empty: no email is sent.")] = ""
    port: Annotated[int, Meta(ge=1, le=65_535, description="Its port.")] = 587
    security: Annotated[
        str, Meta(pattern="^(none|starttls|tls)$", description="`starttls`, `tls` from the start, or `none`.")
    ] = "starttls"
    username: Annotated[str, Meta(description="Empty: no login.")] = ""
    password: Annotated[str, Meta(description="For `username`."), SECRET] = ""
    sender: Annotated[str, Meta(description="As `Palpo <noreply@example.org>`.")] = ""
    timeout_seconds: Annotated[float, Meta(gt=0, description="For one message.")] = 30.0
    token_seconds: Annotated[int, Meta(ge=60, description="How long a link works.")] = 3600
    digest_delay_seconds: Annotated[
        int, Meta(ge=0, description="How long an unread message waits for others before they are mailed.")
    ] = 600
    digest_interval_seconds: Annotated[
        int, Meta(ge=0, description="The time between two mails of unread messages to one user.")
    ] = 3600


class IdentityServer(Section, frozen=True):
    """An identity server that users may tell of themselves."""

    name: Annotated[str, Meta(description="As clients call it, `id.example.org`.")]
    url: Annotated[str, Meta(pattern="^https?://", description="Where it is, `https://id.example.org`.")]


class PasswordConfig(Section, frozen=True):
    """Passwords, hashed with Argon2id."""

    enabled: Annotated[bool, Meta(description="Whether anyone logs in by password.")] = True
    time_cost: Annotated[int, Meta(ge=1, description="Argon2's passes over the memory.")] = 2
    memory_kib: Annotated[int, Meta(ge=8, description="Argon2's memory for one hash, in KiB.")] = 19 * 1024
    minimum_length: Annotated[int, Meta(ge=1, description="Characters of a new password.")] = 8


class SessionConfig(Section, frozen=True):
    """Access tokens, and browsers that are signed in."""

    access_token_seconds: Annotated[
        int, Meta(ge=1, description="Lifetime of an access token that comes with a refresh token."), LIVE
    ] = 300
    browser_seconds: Annotated[
        int, Meta(ge=60, description="How long a browser stays signed in on this server's own pages.")
    ] = 14 * 86_400


class OAuthConfig(Section, frozen=True):
    """OAuth 2.0 for clients: they send their users' browsers to this server's own pages to sign in. Needs
    `public_url`, and a reverse proxy that hands on `/_palpo/account/` and `/_palpo/oauth2/`. Logging in by
    password in the client goes on beside it.
    """

    enabled: Annotated[
        bool, Meta(description="Whether clients are told of it, and served, if there is a `public_url`.")
    ] = True
    qr_login: Annotated[
        bool, Meta(description="Whether devices may meet here to sign one in by a QR code (MSC4108).")
    ] = True


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


class PreviewConfig(Section, frozen=True):
    """Previews of web pages. The server asks for them itself: see `network`."""

    enabled: Annotated[bool, Meta(description="Whether there are any.")] = True
    max_page_bytes: Annotated[int, Meta(ge=1, description="How much of a page is read.")] = 2 * 1024 * 1024
    max_image_bytes: Annotated[int, Meta(ge=1, description="Larger images are left out.")] = 10 * 1024 * 1024
    timeout_seconds: Annotated[float, Meta(gt=0, description="For the page and its image.")] = 15.0
    cache_seconds: Annotated[int, Meta(ge=1, description="How long a preview is kept.")] = 3600


class S3Config(Section, frozen=True):
    """A bucket of an S3-compatible service for media, instead of the folder `data` (`palpo[s3]`).
    Without credentials here, those of the environment are used (`AWS_ACCESS_KEY_ID` and
    `AWS_SECRET_ACCESS_KEY`), or the machine's own where it runs in such a cloud.
    """

    bucket: Annotated[str, Meta(description="Its name; empty: media are files in `data`.")] = ""
    endpoint: Annotated[
        str, Meta(pattern="^(https?://.*)?$", description="URL of the service; empty: Amazon's.")
    ] = ""
    region: Annotated[str, Meta(description="Where the bucket is.")] = "us-east-1"
    prefix: Annotated[str, Meta(description="What the names of objects begin with.")] = ""
    access_key_id: Annotated[str, Meta(description="Empty: credentials are found as above.")] = ""
    secret_access_key: Annotated[str, Meta(description="The secret that belongs to it."), SECRET] = ""
    credentials_file: Annotated[
        Path | None,
        Meta(description="File with `aws_access_key_id` and `aws_secret_access_key`, instead of the above."),
    ] = None
    credentials_profile: Annotated[str, Meta(description="The section of that file.")] = "default"
    timeout_seconds: Annotated[float, Meta(gt=0, description="For one request to the service.")] = 30.0


class MediaConfig(Section, frozen=True):
    """The media repository."""

    max_upload_bytes: Annotated[int, Meta(ge=1, description="Larger uploads are refused.")] = 50 * 1024 * 1024
    max_pixels: Annotated[
        int,
        Meta(
            ge=1,
            description="Larger images get no thumbnails; half is the bound of other formats than JPEG, a "
            "quarter that of WebP. One large image is decoded at a time, in up to 4 bytes for each pixel.",
        ),
    ] = 64_000_000
    legacy: Annotated[
        bool,
        Meta(
            description="Serve new media at the deprecated endpoints too, which ask for no access token; "
            "what was uploaded while they did stays there."
        ),
    ] = False
    pending_seconds: Annotated[
        int, Meta(ge=1, description="How long a URI that was created ahead of its content waits for it.")
    ] = 24 * 3600
    max_pending: Annotated[int, Meta(ge=1, description="URIs of one user that wait for content.")] = 50
    s3: S3Config = S3Config()
    previews: PreviewConfig = PreviewConfig()


class NetworkConfig(Section, frozen=True):
    """Where the server may connect to for others: previews, push gateways, other homeservers.

    Addresses of the public Internet are permitted, and no others but those of `allow`.
    """

    allow: Annotated[tuple[str, ...], Meta(description="Networks beside those, as `10.1.0.0/16`.")] = ()
    deny: Annotated[tuple[str, ...], Meta(description="Networks to leave alone whatever they are.")] = ()


class NotaryConfig(Section, frozen=True):
    """A server that is trusted to say what keys others have."""

    name: Annotated[str, Meta(description="The server's name.")]
    keys: Annotated[
        dict[str, str],
        Meta(
            description="Those that it must sign with: key ID to public key, in unpadded base64; empty: any."
        ),
    ] = {}


class FederationConfig(Section, frozen=True):
    """Other homeservers: which of them are spoken to, how they are found, and how long they may take.

    The addresses that they are found at are held to `network`.
    """

    enabled: Annotated[bool, Meta(description="Whether other homeservers are spoken to.")] = True
    allow: Annotated[
        tuple[str, ...],
        Meta(description="Server names to speak to, as `*.example.org` (`*` and `?`); empty: all."),
        LIVE,
    ] = ()
    deny: Annotated[
        tuple[str, ...],
        Meta(description="Server names not to speak to, also where they are in `allow`."),
        LIVE,
    ] = ()
    ca_file: Annotated[
        Path | None,
        Meta(
            description="PEM file of the certificate authorities that are trusted to name other homeservers; "
            "none: the system's."
        ),
    ] = None
    hosts: Annotated[
        dict[str, str],
        Meta(
            description='Where hosts are, whatever the DNS says: `{ hs2 = "10.1.0.2:8448" }`. With a port, '
            "the server of that name is there, and is looked for nowhere else; an address alone is that of "
            "the host, whoever names it."
        ),
    ] = {}
    hosts_file: Annotated[
        Path, Meta(description="File of hosts that is looked at before the DNS is asked, if it is there.")
    ] = Path("/etc/hosts")
    lookup_seconds: Annotated[float, Meta(gt=0, description="How long the DNS may take for one name.")] = 5.0
    connect_seconds: Annotated[
        float, Meta(gt=0, description="How long a connection to one address may take, TLS included.")
    ] = 10.0
    idle_seconds: Annotated[
        float, Meta(gt=0, description="How long another homeserver may be silent while it answers.")
    ] = 60.0
    request_seconds: Annotated[
        float, Meta(gt=0, description="How long a request may take in all, unless its kind has its own time.")
    ] = 60.0
    keep_alive_seconds: Annotated[
        float, Meta(ge=0, description="How long a connection is kept that nothing is sent on.")
    ] = 60.0
    http2: Annotated[
        bool,
        Meta(
            description="Whether other homeservers that offer HTTP/2 are asked by it. It needs fewer "
            "connections, and more processor time than HTTP/1.1."
        ),
    ] = False
    partial_joins: Annotated[
        bool,
        Meta(
            description="Whether rooms of other homeservers may be used as soon as they are joined, while "
            "their members are still being fetched."
        ),
    ] = True
    notaries: Annotated[
        tuple[NotaryConfig, ...],
        Meta(description="Servers that are asked for the keys of others, beside these themselves."),
    ] = ()
    requests: Annotated[int, Meta(ge=1, description="Requests to other homeservers at once.")] = 1000
    requests_per_server: Annotated[
        int, Meta(ge=1, description="Requests to one other homeserver at once; more wait their turn.")
    ] = 8


class RoomConfig(Section, frozen=True):
    """Rooms."""

    default_version: Annotated[
        str, Meta(description="The version of new rooms, unless whoever creates one asks for another."), LIVE
    ] = "12"


class RetentionConfig(Section, frozen=True):
    """How long messages are kept (`m.room.retention`, MSC1763). State is kept for ever."""

    enabled: Annotated[
        bool,
        Meta(description="Delete messages that are too old, and show them to nobody before."),
    ] = False
    default_days: Annotated[
        int, Meta(ge=0, description="How long, in rooms that do not say it; 0: for ever.")
    ] = 0
    min_days: Annotated[int, Meta(ge=0, description="The least that a room can say.")] = 0
    max_days: Annotated[int, Meta(ge=0, description="The most that a room can say; 0: any time.")] = 0
    interval_hours: Annotated[
        int, Meta(ge=1, description="How often rooms are looked through for what is too old.")
    ] = 24


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


class ServerNoticesConfig(Section, frozen=True):
    """Notices from the server to its users, each in a room of their own."""

    enabled: Annotated[bool, Meta(description="Whether administrators can send any.")] = False
    localpart: Annotated[
        str, Meta(pattern=r"^[a-z0-9._=/+-]{1,100}$", description="Of the user whom they come from.")
    ] = "_server"
    display_name: Annotated[str, Meta(max_length=255, description="That user's name.")] = "Server notices"
    room_name: Annotated[str, Meta(max_length=255, description="The name of the rooms.")] = "Server notices"


class BackupConfig(Section, frozen=True):
    """Backups that the server makes of itself. `palpo restore` puts one back."""

    folder: Annotated[
        Path | None,
        Meta(description="In which they are made, each in a folder of its own; none: the server makes none."),
    ] = None
    every_hours: Annotated[int, Meta(ge=1, description="Hours from one to the next.")] = 24
    keep: Annotated[int, Meta(ge=1, description="How many are kept; older ones are removed.")] = 7


class LogConfig(Section, frozen=True):
    """Logs.

    They never make the server wait: lines that nobody reads are dropped, counted in the metrics
    (`palpo_log_lines_dropped_total`), and told of in a line once somebody reads again.
    """

    level: Annotated[
        str,
        Meta(pattern="^(debug|info|warning|error)$", description="`debug`, `info`, `warning` or `error`."),
        LIVE,
    ] = "info"
    format: Annotated[
        str, Meta(pattern="^(json|text)$", description="`json`, one object a line, or `text` for people.")
    ] = "json"
    requests: Annotated[bool, Meta(description="One line a request.")] = True
    file: Annotated[
        Path | None, Meta(description="File to append to, reopened on SIGHUP; none: standard error.")
    ] = None
    held_ms: Annotated[
        int,
        Meta(
            ge=0,
            description="Milliseconds of processor time for which one turn of the event loop may last before "
            "a line says what it was at (`event_loop_held`); 0: that is not watched. It costs a little.",
        ),
    ] = 0


class CacheConfig(Section, frozen=True):
    """What each process keeps in memory of what it could read again from the database."""

    megabytes: Annotated[
        int,
        Meta(ge=0, description="For all caches together, in MiB of 1,048,576 bytes; 0: nothing is kept."),
    ] = 128


class SentryConfig(Section, frozen=True):
    """Errors of the log are sent to a Sentry too, or to what speaks its protocol (`palpo[sentry]`)."""

    dsn: Annotated[
        str, Meta(pattern="^(https?://.+@.+/.+)?$", description="Where to, as Sentry has it; empty: nowhere.")
    ] = ""
    environment: Annotated[str, Meta(description="What kind of server it is, such as `production`.")] = ""


class TracingConfig(Section, frozen=True):
    """Traces of requests, transactions and federation, by OpenTelemetry (`palpo[tracing]`)."""

    endpoint: Annotated[
        str,
        Meta(
            pattern="^(https?://.+)?$",
            description="Where to, by OTLP over HTTP, as `http://127.0.0.1:4318`; empty: nowhere.",
        ),
    ] = ""
    sample: Annotated[float, Meta(ge=0, le=1, description="Which part of all requests is traced.")] = 0.1


class Config(Section, frozen=True):
    """Everything that an operator can set."""

    server_name: Annotated[str, Meta(description="The domain in user IDs; it can never be changed.")]
    data: Annotated[Path, Meta(description="Folder of the signing key, media and the SQLite file.")]
    redis_url: Annotated[
        str,
        Meta(description="`redis://…`, for wake-ups between processes; empty: the database does it."),
        SECRET,
    ] = ""
    public_url: Annotated[
        str,
        Meta(
            pattern="^(https?://.+)?$",
            description="Where clients reach the server, as `https://matrix.example.org`: for `.well-known`.",
        ),
    ] = ""
    listeners: tuple[Listener, ...] = (Listener(bind="127.0.0.1:8008"),)
    http: HttpConfig = HttpConfig()
    database: DatabaseConfig = DatabaseConfig()
    caches: CacheConfig = CacheConfig()
    rate_limits: Annotated[RateLimits, LIVE] = RateLimits()
    quotas: Annotated[QuotasConfig, LIVE] = QuotasConfig()
    registration: RegistrationConfig = RegistrationConfig()
    password: PasswordConfig = PasswordConfig()
    sso: SsoConfig = SsoConfig()
    oidc: tuple[OidcConfig, ...] = ()
    saml: tuple[SamlConfig, ...] = ()
    cas: tuple[CasConfig, ...] = ()
    ldap: tuple[LdapConfig, ...] = ()
    jwt: JwtConfig = JwtConfig()
    email: EmailConfig = EmailConfig()
    identity_servers: tuple[IdentityServer, ...] = ()
    sessions: SessionConfig = SessionConfig()
    turn: Annotated[TurnConfig, LIVE] = TurnConfig()
    well_known: Annotated[WellKnownConfig, LIVE] = WellKnownConfig()
    oauth: OAuthConfig = OAuthConfig()
    rtc: RtcConfig = RtcConfig()
    media: MediaConfig = MediaConfig()
    network: Annotated[NetworkConfig, LIVE] = NetworkConfig()
    federation: FederationConfig = FederationConfig()
    rooms: RoomConfig = RoomConfig()
    retention: RetentionConfig = RetentionConfig()
    push: PushConfig = PushConfig()
    presence: PresenceConfig = PresenceConfig()
    server_notices: ServerNoticesConfig = ServerNoticesConfig()
    backup: BackupConfig = BackupConfig()
    log: LogConfig = LogConfig()
    sentry: SentryConfig = SentryConfig()
    tracing: TracingConfig = TracingConfig()
    appservices: Annotated[
        tuple[Path, ...], Meta(description="Registration files (YAML) of application services.")
    ] = ()
    metrics: Annotated[bool, Meta(description="Serve Prometheus metrics at `/_palpo/metrics`.")] = True
    admins: Annotated[tuple[str, ...], Meta(description="User IDs that are administrators.")] = ()

    def engine_of(self, listener: Listener) -> str:
        """The engine of a listener: its own, or that for all, or what suits it."""
        named = listener.engine or self.http.engine
        return named or ("uvicorn" if listener.tls_certificate is None else "hypercorn")

    @property
    def oauth_enabled(self) -> bool:
        """Whether clients are served by OAuth 2.0: that takes a URL that this server is known by."""
        return self.oauth.enabled and bool(self.public_url)

    @property
    def database_url(self) -> str:
        """The database's URL, whether or not one was set."""
        return self.database.url or f"sqlite:///{self.data / 'palpo.db'}"

    @property
    def base_url(self) -> str:
        """Where clients reach the server."""
        if self.public_url:
            return self.public_url
        first = self.listeners[0]
        if first.unix_path is not None:
            return f"https://{self.server_name}"
        return f"{'http' if first.tls_certificate is None else 'https'}://{first.bind}"
