"""A browser without scripts: it keeps cookies, follows redirects, and sends the forms of pages."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx

from palpo.api.app import PalpoApp

HOST = "test.example"


class Form(HTMLParser):
    """The first form of a page, with the values that it has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.method = ""
        self.fields: dict[str, str] = {}
        self.text = page
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.method:
            self._inside = True
            self.action, self.method = given.get("action", ""), given.get("method", "get").lower()
        elif self._inside and tag in ("input", "button") and "name" in given:
            self.fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


class Visitor:
    """One person's browser: what is of HOST goes to the application in this process."""

    def __init__(self, app: PalpoApp) -> None:
        here = httpx.ASGITransport(app=app)
        self.http = httpx.AsyncClient(
            mounts={f"all://{HOST}": here}, headers={"Accept": "text/html"}, timeout=30
        )
        self.at = f"http://{HOST}/"
        self.answer = httpx.Response(200)

    async def go(self, url: str, *, until: str = "https://client.example/") -> httpx.Response:
        """Open a page; a redirect to what begins with ``until`` is not followed any more."""
        return await self._send("GET", url, None, until)

    async def submit(
        self, *, until: str = "https://client.example/", drop: tuple[str, ...] = (), **fields: str
    ) -> httpx.Response:
        """Send the form of the page that is shown, with some of its fields filled in."""
        form = Form(self.answer.text)
        assert form.method, f"there is no form: {self.answer.status_code} {self.answer.text[:2000]}"
        sent = {name: value for name, value in {**form.fields, **fields}.items() if name not in drop}
        return await self._send(form.method.upper(), urljoin(self.at, form.action or self.at), sent, until)

    async def close(self) -> None:
        """Forget everything."""
        await self.http.aclose()

    async def _send(self, method: str, url: str, fields: dict[str, str] | None, until: str) -> httpx.Response:
        url = urljoin(self.at, url)
        for _ in range(20):
            if method == "GET":
                answer = await self.http.get(url, params=fields)
            else:
                answer = await self.http.post(url, data=fields)
            self.at, self.answer = url, answer
            if not answer.is_redirect:
                return answer
            url = urljoin(url, answer.headers["location"])
            if url.startswith(until):
                return answer
            if answer.status_code != 307:
                method, fields = "GET", None
        raise AssertionError(f"too many redirects, the last to {urlsplit(url).netloc}")

    @property
    def location(self) -> str:
        """Where the last answer redirects to."""
        return str(self.answer.headers["location"])
