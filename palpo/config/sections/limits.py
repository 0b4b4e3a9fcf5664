"""How often, and how much: rate limits and quotas."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from palpo.config.section import Section

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


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
