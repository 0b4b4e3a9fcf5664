"""Stages of user-interactive auth that registration asks for (spec: client-server API, "Terms of service at
registration", "Google ReCaptcha", "Email-based", "Token-authenticated registration").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import msgspec

from palpo.config.sections.accounts import CaptchaConfig, TermsDocument
from palpo.core.errors import Forbidden, Unavailable
from palpo.core.identifiers import UserId
from palpo.net.http_client import HttpClient, HttpError
from palpo.services.accounts.registration_tokens import RegistrationTokens
from palpo.services.accounts.threepids import ThirdPartyIds
from palpo.services.accounts.user_interactive_auth import Auth, Stage

EMAIL = "m.login.email.identity"
TERMS = "m.login.terms"
RECAPTCHA = "m.login.recaptcha"
OAUTH, UNSTABLE_OAUTH = "m.oauth", "org.matrix.cross_signing_reset"
CAPTCHA_TIMEOUT_S = 20.0
MAX_CAPTCHA = 8192
"""Characters of a challenge's answer."""


class TokenStage(Stage):
    """``m.login.registration_token``: a token that the server's administrators give out."""

    def __init__(self, tokens: RegistrationTokens) -> None:
        self._tokens = tokens

    async def check(self, auth: Auth, user_id: UserId | None) -> None:
        """Hold a use of the token; raises Forbidden."""
        token = auth.get("token")
        if not isinstance(token, str):
            raise Forbidden("A registration token is needed")
        await self._tokens.hold(token, auth["session"])


class EmailStage(Stage):
    """``m.login.email.identity``: an address that this server has validated."""

    def __init__(self, threepids: ThirdPartyIds) -> None:
        self._threepids = threepids

    async def check(self, auth: Auth, user_id: UserId | None) -> None:
        """Check the validation; raises Forbidden, M_THREEPID_AUTH_FAILED."""
        # Clients of before r0.6 call it otherwise.
        credentials = auth.get("threepid_creds", auth.get("threepidCreds"))
        await self._threepids.show(credentials, auth["session"], user_id)


class TermsStage(Stage):
    """``m.login.terms``: the user says that the documents are accepted."""

    def __init__(self, documents: tuple[TermsDocument, ...]) -> None:
        policies: dict[str, dict[str, Any]] = {}
        for item in documents:
            policy = policies.setdefault(item.policy, {"version": item.version})
            policy[item.language] = {"name": item.name, "url": item.url}
        self._params = {"policies": policies}

    def params(self, user_id: UserId | None) -> dict[str, Any] | None:
        """The documents."""
        return self._params

    async def check(self, auth: Auth, user_id: UserId | None) -> None:
        """Saying so is all."""


class OAuthStage(Stage):
    """``m.oauth``: the user allows it on a page of the account (spec: "OAuth authentication"; MSC4312).

    What is allowed there is not asked for any more, so a client that asks for the stage is too early.
    """

    def __init__(self, url: Callable[[], str]) -> None:
        """``url`` is the page's, as it is now."""
        self._url = url

    def params(self, user_id: UserId | None) -> dict[str, Any] | None:
        """The page."""
        return {"url": self._url()}

    async def check(self, auth: Auth, user_id: UserId | None) -> None:
        """Raises Forbidden."""
        raise Forbidden("This is to be allowed on the page of the account first")


class _Verdict(msgspec.Struct, frozen=True):
    success: bool


class RecaptchaStage(Stage):
    """``m.login.recaptcha``: a challenge, whose answer another service checks."""

    def __init__(self, config: CaptchaConfig, http: HttpClient) -> None:
        self._config = config
        self._http = http

    def params(self, user_id: UserId | None) -> dict[str, Any] | None:
        """The site key."""
        return {"public_key": self._config.public_key}

    async def check(self, auth: Auth, user_id: UserId | None) -> None:
        """Have the answer checked; raises Forbidden, and Unavailable where that cannot be done."""
        answer = auth.get("response", auth.get("g-recaptcha-response"))
        if not isinstance(answer, str) or not 0 < len(answer) <= MAX_CAPTCHA:
            raise Forbidden("The challenge's answer is missing", errcode="M_CAPTCHA_NEEDED")
        form = urlencode({"secret": self._config.private_key, "response": answer}, errors="replace")
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            async with self._http.request(
                "POST",
                self._config.verify_url,
                headers=headers,
                body=form.encode(),
                timeout_s=CAPTCHA_TIMEOUT_S,
            ) as response:
                verdict = msgspec.json.decode(await response.read(64 * 1024), type=_Verdict)
        except (HttpError, msgspec.DecodeError) as error:
            raise Unavailable("The challenge cannot be checked at the moment") from error
        if not verdict.success:
            raise Forbidden("The challenge's answer is wrong", errcode="M_CAPTCHA_INVALID")
