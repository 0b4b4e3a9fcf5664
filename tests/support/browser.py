"""A browser: it keeps cookies, follows links and sends forms, and does nothing else."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import httpx

from tests.support.homeserver import PASSWORD, Homeserver

HEADERS = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
LOGIN = "/_palpo/account/login"


class FormOf(HTMLParser):
    """A page's forms: where each is sent, and its fields as they are filled in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "form":
            self.forms.append((values.get("action") or "", {}))
        elif tag == "input" and self.forms and (name := values.get("name")):
            fields = self.forms[-1][1]
            if values.get("type") not in ("checkbox", "radio") or "checked" in values:
                fields[name] = values.get("value") or ""


class Browser:
    """One user's browser. Redirects are followed on this server only."""

    def __init__(self, server: Homeserver, base_url: str = "http://test.example") -> None:
        transport = httpx.ASGITransport(app=server.app)
        self.http = httpx.AsyncClient(transport=transport, base_url=base_url, headers=HEADERS)
        self.base_url = base_url

    async def get(self, path: str, **options: Any) -> httpx.Response:
        """Open a page."""
        return await self._follow(await self.http.get(path, **options))

    async def post(self, path: str, fields: dict[str, str], **options: Any) -> httpx.Response:
        """Send fields as they are."""
        return await self._follow(await self.http.post(path, data=fields, **options))

    async def submit(self, page: httpx.Response, number: int = 0, **fields: str) -> httpx.Response:
        """Fill in a form of a page, and send it."""
        action, values = FormOf(page.text).forms[number]
        return await self.post(urljoin(str(page.url), action), {**values, **fields})

    async def sign_in(self, localpart: str, then: str = "", password: str = PASSWORD) -> httpx.Response:
        """Sign in on the page for that."""
        page = await self.get(LOGIN, params={"next": then} if then else {})
        return await self.submit(page, user=localpart, password=password)

    async def _follow(self, answer: httpx.Response) -> httpx.Response:
        for _ in range(5):
            if answer.status_code != 303 or not self._is_here(answer):
                return answer
            answer = await self.http.get(urljoin(str(answer.url), answer.headers["location"]))
        raise AssertionError(f"too many redirects, at {answer.url}")

    def _is_here(self, answer: httpx.Response) -> bool:
        return urljoin(str(answer.url), answer.headers["location"]).startswith(self.base_url + "/")
