"""Passwords and the limit of failures."""

import asyncio
import os
from pathlib import Path

import pytest

from palpo.config.model import Config
from palpo.config.sections.accounts import PasswordConfig
from palpo.config.sections.limits import RateLimit, RateLimits
from palpo.core.errors import BadRequest, InvalidParam, LimitExceeded
from palpo.services.accounts.passwords import MAX_WAITING_EACH, FailedLogins, Passwords
from palpo.streams.clock import FakeClock
from palpo.streams.fair_queue import behalf

CHEAP = PasswordConfig(time_cost=1, memory_kib=8)


async def test_verify() -> None:
    passwords = Passwords(CHEAP)
    hash_ = await passwords.hash("päss wörd")
    assert hash_.startswith("$argon2id$")
    assert await passwords.verify("päss wörd", hash_)
    assert not await passwords.verify("pass word", hash_)
    assert not await passwords.verify("", None)
    assert not await passwords.verify("nobody's", None)
    assert not await passwords.verify("x" * 10_000, hash_)
    assert not await passwords.verify("x", "not a hash")


async def test_hashes_of_the_reference_implementation_are_verified() -> None:
    # By argon2-cffi, which the first versions used.
    older = "$argon2id$v=19$m=8,t=1,p=1$UjBlkgOcEkw5w7sAmf4b4w$XlbSgCNPT+A1Ar9jHOU6rkcox+bXOy11WYjnhLpZJCs"
    assert await Passwords(CHEAP).verify("an older password", older)
    assert not await Passwords(CHEAP).verify("another password", older)
    assert not Passwords(CHEAP).outdated(older)


@pytest.mark.parametrize(
    ("password", "hash_"),
    [
        ("correct horse battery", "$2b$04$w/Ub/uvYaaAdl5dElZQDD./st2FRwyeeXNob5ll9FKjMGMdMZBvja"),
        ("x" * 100, "$2b$04$Ztr7EK0ak/uWQk5fUPgZLew.srOvcZ1Dk3gzorSL/ribyEOmObS5q"),
        ("\ufb01ne passwo\u0308rd", "$2b$04$g35qD176U3TmQPpY7tYKTeFxqtlSYIdx7AunopTFoOsDceqWQuyrC"),
    ],
    ids=["short", "longer than bcrypt looks", "in another form of Unicode"],
)
async def test_hashes_of_synapse_are_verified(password: str, hash_: str) -> None:
    passwords = Passwords(PasswordConfig(time_cost=1, memory_kib=8, pepper="salt and pepper"))
    assert await passwords.verify(password, hash_)
    assert not await passwords.verify("y" + password, hash_)
    assert passwords.outdated(hash_)
    assert not await passwords.verify(password, "$2b$04$no hash")
    assert not await passwords.verify("pass\0word", hash_)
    if len(password) < 72:
        assert not await Passwords(CHEAP).verify(password, hash_)


async def test_outdated() -> None:
    hash_ = await Passwords(CHEAP).hash("secret")
    assert not Passwords(CHEAP).outdated(hash_)
    assert Passwords(PasswordConfig(time_cost=2, memory_kib=8)).outdated(hash_)
    assert Passwords(CHEAP).outdated("$2b$12$of.another.kind")


def test_policy() -> None:
    passwords = Passwords(CHEAP)
    passwords.check_new("x" * 512)
    with pytest.raises(BadRequest) as caught:
        passwords.check_new("x" * 7)
    assert caught.value.errcode == "M_WEAK_PASSWORD"
    with pytest.raises(InvalidParam):
        passwords.check_new("é" * 257)


async def test_flood() -> None:
    passwords = Passwords(CHEAP)
    workers = max(1, os.cpu_count() or 1)

    async def hash_for(user: str) -> str:
        behalf.set(user)
        return await passwords.hash("secret")

    flood = [asyncio.ensure_future(hash_for("a")) for _ in range(MAX_WAITING_EACH + workers + 5)]
    await asyncio.sleep(0)
    # The address that floods the server is refused; another one is not, and waits for one of its hashes.
    other = await hash_for("b")
    assert sum(task.done() for task in flood) < len(flood) / 2
    outcomes = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(isinstance(outcome, LimitExceeded) for outcome in outcomes) == 5
    assert await passwords.verify("secret", other)


def limited(limits: RateLimits) -> Config:
    return Config(server_name="x", data=Path(), rate_limits=limits)


def test_failures() -> None:
    clock = FakeClock()
    failures = FailedLogins(limited(RateLimits(login=RateLimit(per_second=1, burst=2))), clock)
    for _ in range(2):
        failures.charge("@a:x")
    with pytest.raises(LimitExceeded) as caught:
        failures.charge("@a:x")
    assert 0 < caught.value.retry_after_ms <= 1001
    failures.charge("@b:x")
    clock.advance(caught.value.retry_after_ms)
    failures.charge("@a:x")
    with pytest.raises(LimitExceeded):
        failures.charge("@a:x")
    failures.refund("@a:x")
    failures.charge("@a:x")
    failures.refund("@nobody:x")


def test_failures_without_limits() -> None:
    failures = FailedLogins(
        limited(RateLimits(enabled=False, login=RateLimit(per_second=1, burst=1))), FakeClock()
    )
    for _ in range(5):
        failures.charge("@a:x")
