"""What clients may register, and what they may ask for."""

from __future__ import annotations

from typing import Any

import pytest

from palpo.core.oauth.clients import NATIVE, WEB, read_metadata
from palpo.core.oauth.errors import OAuthError
from palpo.core.oauth.scopes import API, DEVICE, UNSTABLE_API, UNSTABLE_DEVICE, read_scope

MINE = {"client_uri": "https://example.com/", "client_name": "Mine"}


def read(uri: str, application_type: str, **more: Any) -> Any:
    return read_metadata({**MINE, "redirect_uris": [uri], "application_type": application_type, **more})


@pytest.mark.parametrize(
    ("kind", "uri"),
    [
        (WEB, "https://example.com/callback"),
        (WEB, "https://app.example.com/callback"),
        (WEB, "https://example.com:5173/?query=value"),
        (NATIVE, "com.example.app:/callback"),
        (NATIVE, "com.example:/"),
        (NATIVE, "com.example:callback"),
        (NATIVE, "http://localhost/callback"),
        (NATIVE, "http://127.0.0.1/callback"),
        (NATIVE, "http://[::1]/callback"),
        (NATIVE, "https://app.example.com/claimed"),
    ],
)
def test_redirect_uris_of_the_spec(kind: str, uri: str) -> None:
    assert read(uri, kind).redirect_uris == (uri,)


@pytest.mark.parametrize(
    ("kind", "uri"),
    [
        (WEB, "https://example.com/callback#fragment"),
        (WEB, "https://example.com/callback#"),
        (WEB, "http://example.com/callback"),
        (WEB, "http://localhost/"),
        (WEB, "https://user@example.com/"),
        (WEB, "https://user:secret@example.com/"),
        (WEB, "https://badexample.com/"),
        (WEB, "https://example.com.evil.example/"),
        (WEB, "https://evil.example/https://example.com/"),
        (WEB, "https://example.com\\@evil.example/"),
        (WEB, "https://example.com /"),
        (WEB, "com.example:/callback"),
        (WEB, "/callback"),
        (WEB, "https://example.com:port/"),
        (NATIVE, "example:/callback"),
        (NATIVE, "com.example.app://callback"),
        (NATIVE, "com.examples:/callback"),
        (NATIVE, "https://localhost/callback"),
        (NATIVE, "http://localhost:1234/callback"),
        (NATIVE, "http://user@localhost/callback"),
        (NATIVE, "http://127.0.0.2/callback"),
        (NATIVE, "javascript:alert(1)"),
        (NATIVE, "data:text/html,x"),
        (NATIVE, "com.example:/" + "x" * 3000),
    ],
)
def test_redirect_uris_that_are_refused(kind: str, uri: str) -> None:
    with pytest.raises(OAuthError) as caught:
        read(uri, kind)
    assert caught.value.code == "invalid_redirect_uri"


@pytest.mark.parametrize(
    "change",
    [
        {"client_uri": None},
        {"client_uri": "http://example.com/"},
        {"client_uri": "https://user@example.com/"},
        {"client_uri": "https://com/"},
        {"client_uri": 7},
        {"client_name": "x" * 300},
        {"client_name": ["x"]},
        {"client_name": "a\0b"},
        {"application_type": "browser"},
        {"logo_uri": "https://elsewhere.example/logo.png"},
        {"tos_uri": "http://example.com/tos"},
        {"policy_uri": "javascript:alert(1)"},
        {"grant_types": ["password"]},
        {"grant_types": "authorization_code"},
        {"response_types": ["token"]},
    ],
)
def test_what_else_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(OAuthError) as caught:
        read_metadata({**MINE, "redirect_uris": ["https://example.com/"], **change})
    assert caught.value.code == "invalid_client_metadata"


@pytest.mark.parametrize("uris", [None, [], "https://example.com/", [7], ["https://example.com/"] * 21])
def test_redirect_uris_are_a_list_that_is_not_too_long(uris: Any) -> None:
    with pytest.raises(OAuthError) as caught:
        read_metadata({**MINE, "redirect_uris": uris})
    assert caught.value.code == "invalid_redirect_uri"


def test_a_device_needs_no_redirect_uri_and_values_not_known_are_left_out() -> None:
    device = "urn:ietf:params:oauth:grant-type:device_code"
    metadata = read_metadata({**MINE, "grant_types": [device, "password", "refresh_token"], "extra": {}})
    assert metadata.grant_types == ("refresh_token", device)
    assert metadata.fields()["response_types"] == []
    assert metadata.fields()["token_endpoint_auth_method"] == "none"


def test_a_name_that_is_missing_is_the_host() -> None:
    assert read("https://example.com/", WEB, client_name="").client_name == "example.com"


@pytest.mark.parametrize(
    ("registered", "asked", "allowed"),
    [
        ("http://localhost/cb", "http://localhost:49152/cb", True),
        ("http://[::1]/cb", "http://[::1]:8080/cb", True),
        ("http://127.0.0.1/cb", "http://127.0.0.1/cb", True),
        ("http://localhost/cb", "http://localhost:49152/other", False),
        ("http://localhost/cb", "http://localhost:49152/cb?x=y", False),
        ("http://localhost/cb", "http://127.0.0.1:49152/cb", False),
        ("http://localhost/cb", "http://localhost:80@evil.example/cb", False),
        ("http://localhost/cb", "http://evil@localhost:80/cb", False),
        ("http://localhost/cb", "http://localhost:99999/cb", False),
        ("https://example.com/cb", "https://example.com:8443/cb", False),
        ("https://example.com/cb", "https://example.com/cb/", False),
        ("com.example:/cb", "com.example:/cb2", False),
    ],
)
def test_where_answers_may_go(registered: str, asked: str, allowed: bool) -> None:
    assert read(registered, NATIVE).allows_redirect(asked) is allowed


def test_scopes() -> None:
    assert read_scope(f"openid {API} {DEVICE}ABC other") == (f"{API} {DEVICE}ABC", "ABC")
    unstable = f"{UNSTABLE_API} {UNSTABLE_DEVICE}ABC"
    assert read_scope(unstable) == (unstable, "ABC")
    both = f"{API} {UNSTABLE_API} {DEVICE}ABC {UNSTABLE_DEVICE}ABC"
    assert read_scope(both) == (both, "ABC")


@pytest.mark.parametrize(
    "scope",
    [
        "",
        API,
        f"{DEVICE}ABC",
        f"{API} {DEVICE}",
        f"{API} {DEVICE}A {DEVICE}B",
        f"{API} {DEVICE}A {UNSTABLE_DEVICE}B",
        f'{API} {DEVICE}A"',
        f"{API} {DEVICE}é",
        f"{API} {DEVICE}{'x' * 300}",
        f"{API} {DEVICE}A {'x' * 5000}",
    ],
)
def test_scopes_that_are_refused(scope: str) -> None:
    with pytest.raises(OAuthError) as caught:
        read_scope(scope)
    assert caught.value.code == "invalid_scope"
