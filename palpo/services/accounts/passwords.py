"""Passwords: Argon2id in threads of its own, never on the event loop.

libsodium's (PyNaCl) takes half the time of the reference implementation, whose hashes it verifies. Hashes of
bcrypt, which accounts from Synapse bring with them, are verified too, and replaced at the next login.
"""

from __future__ import annotations

import os
import unicodedata

import structlog
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id

from palpo.config.model import Config
from palpo.config.sections.accounts import PasswordConfig
from palpo.core.errors import BadRequest, InvalidParam, LimitExceeded
from palpo.streams.clock import Clock
from palpo.streams.fair_queue import FairThreads
from palpo.streams.token_buckets import TokenBuckets

log = structlog.get_logger("palpo.passwords")

MAX_BYTES = 512
BCRYPT_BYTES = 72
"""What bcrypt looks at of a password with its pepper."""
MAX_WAITING = 256
MAX_WAITING_EACH = 128
"""Hashes that may wait for a thread, and those of one user or address: beyond that a server is being
flooded. The threads are shared out fairly."""
MAX_FAILING = 10_000


class Passwords:
    """Hashes and verifies, with the parameters of the configuration."""

    def __init__(self, config: PasswordConfig) -> None:
        self._config = config
        self._threads = FairThreads(
            "passwords",
            workers=max(1, os.cpu_count() or 1),
            waiting=MAX_WAITING,
            waiting_each=MAX_WAITING_EACH,
        )
        self._of_nobody: bytes | None = None

    def check_new(self, password: str) -> None:
        """Hold a new password to the policy; raises M_WEAK_PASSWORD (400) and InvalidParam."""
        if len(password) < self._config.minimum_length:
            raise BadRequest(
                f"A password has at least {self._config.minimum_length} characters", errcode="M_WEAK_PASSWORD"
            )
        if _too_long(password):
            raise InvalidParam(f"A password has at most {MAX_BYTES} bytes")

    async def hash_new(self, password: str) -> str:
        """The hash of a new password; raises as ``check_new`` does."""
        self.check_new(password)
        return await self.hash(password)

    async def hash(self, password: str) -> str:
        """The hash of a password, with its parameters and salt, in ASCII."""
        return (await self._threads.run(lambda: self._hash(_encoded(password)))).decode()

    async def verify(self, password: str, hash_: str | None) -> bool:
        """Whether ``password`` is right; it takes as long to find that it cannot be (``hash_`` None)."""
        if _too_long(password):
            return False
        if hash_ is not None and hash_.startswith("$2"):
            return await self._threads.run(lambda: _verify_bcrypt(password + self._config.pepper, hash_))
        return await self._threads.run(lambda: self._verify(_encoded(password), hash_))

    def outdated(self, hash_: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        parameters = f"m={self._config.memory_kib},t={self._config.time_cost},p=1"
        return hash_.split("$")[1:4] != ["argon2id", "v=19", parameters]

    def _hash(self, password: bytes) -> bytes:
        return argon2id.str(
            password, opslimit=self._config.time_cost, memlimit=self._config.memory_kib * 1024
        )

    def _verify(self, password: bytes, hash_: str | None) -> bool:
        if hash_ is None:
            if self._of_nobody is None:
                self._of_nobody = self._hash(b"nobody's")
            password, against = b"", self._of_nobody
        else:
            against = hash_.encode()
        try:
            return argon2id.verify(against, password)
        except CryptoError:
            return False


def _verify_bcrypt(peppered: str, hash_: str) -> bool:
    """Whether Synapse made ``hash_`` of a password in form NFKC with its pepper."""
    try:
        # Heavy, and only who came from Synapse has it.
        import bcrypt
    except ModuleNotFoundError:
        log.error("bcrypt is missing", fix="install palpo[import]: there are passwords from Synapse")
        return False
    password = _encoded(unicodedata.normalize("NFKC", peppered))[:BCRYPT_BYTES]
    try:
        return bcrypt.checkpw(password, hash_.encode())
    except ValueError:
        return False


class FailedLogins:
    """Limits wrong passwords for each account, whatever addresses they come from.

    An attempt is charged to the budget ``rate_limits.login`` before the password is looked at, so that
    many at once are too many, and given back where it is right. An account whose budget is spent is not
    asked for its password at all.
    """

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._buckets: TokenBuckets[str] = TokenBuckets(clock.elapsed_s, most=MAX_FAILING)

    def charge(self, budget: str) -> None:
        """Charge one attempt; raises LimitExceeded while there were too many."""
        limits = self._config.rate_limits
        missing_s = self._buckets.missing_s(budget, limits.login, 1)
        if limits.enabled and missing_s:
            raise LimitExceeded("Too many wrong passwords", retry_after_ms=int(missing_s * 1000) + 1)
        self._buckets.take(budget, limits.login, 1)

    def refund(self, budget: str) -> None:
        """Give one attempt back."""
        self._buckets.give_back(budget, self._config.rate_limits.login, 1)


def _too_long(password: str) -> bool:
    return len(_encoded(password)) > MAX_BYTES


def _encoded(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
