"""How accounts come about: registration, passwords, e-mail and identity servers."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from palpo.config.marks import LIVE, SECRET
from palpo.config.section import Section


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


class PasswordConfig(Section, frozen=True):
    """Passwords, hashed with Argon2id."""

    enabled: Annotated[bool, Meta(description="Whether anyone logs in by password.")] = True
    time_cost: Annotated[int, Meta(ge=1, description="Argon2's passes over the memory.")] = 2
    memory_kib: Annotated[int, Meta(ge=8, description="Argon2's memory for one hash, in KiB.")] = 19 * 1024
    minimum_length: Annotated[int, Meta(ge=1, description="Characters of a new password.")] = 8
    pepper: Annotated[
        str,
        Meta(
            description="Synapse's `password_config.pepper`, where accounts came from one: with it their old"
            " passwords are checked, until each has logged in once. New ones are hashed without it."
        ),
        SECRET,
    ] = ""


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
