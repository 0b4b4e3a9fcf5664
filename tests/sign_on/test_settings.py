"""The settings of sign-on, and the examples of its page."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from palpo.config.errors import ConfigError
from palpo.config.loader import convert

pytestmark = pytest.mark.one_database

PAGE = Path(__file__).parents[2] / "docs" / "sign-on.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.S)
BASE = {"server_name": "x.example", "data": "d", "public_url": "https://x.example"}
KINDS = {"oidc", "saml", "cas", "ldap", "jwt", "sso"}


@pytest.mark.parametrize(
    "text", [text for text in EXAMPLES if "[[" in text or "[jwt]" in text or "[sso]" in text]
)
def test_the_examples_can_be_used(tmp_path: Path, text: str) -> None:
    for place in re.findall(r'"(/etc/palpo/[^"]+)"', text):
        file = tmp_path / Path(place).name
        file.write_text("x")
        text = text.replace(place, str(file))
    values = {
        "server_name": "x.example",
        "data": "d",
        "public_url": "https://x.example",
        **tomllib.loads(text),
    }
    assert KINDS & set(values)
    convert(values)


def oidc(**settings: Any) -> dict[str, Any]:
    base = {"id": "a", "name": "A", "issuer": "https://a.example", "client_id": "c", "client_secret": "s"}
    return {"oidc": [{**base, **settings}]}


SAML = {"id": "a", "name": "A"}
LDAP = {"id": "a", "uri": "ldaps://a.example", "base": "dc=a"}
CAS = {"id": "a", "name": "A", "server_url": "https://a.example"}
WRONG: list[tuple[dict[str, Any], str]] = [
    (oidc(client_secret=""), "client_secret is needed"),
    (oidc(client_auth="private_key_jwt"), "client_key is needed"),
    (oidc(client_auth="magic"), "client_auth"),
    (oidc(discover=False), "authorization_endpoint is needed"),
    (oidc(localpart_template="{{ user."), "localpart_template cannot be read"),
    (oidc(localpart_template="{{ user.x | attr('y') }}"), "localpart_template cannot be read"),
    (oidc(allow_existing_users=True), "allow_existing_users needs"),
    (oidc(id_token_algorithms=["none"]), "'none' is none that is taken"),
    (oidc(id="no spaces"), "id"),
    ({**oidc(), "cas": [CAS]}, "is there 2 times"),
    ({**oidc(), "public_url": ""}, "public_url"),
    ({"saml": [SAML]}, "metadata_file or metadata_url"),
    ({"saml": [{**SAML, "metadata_url": "http://a.example"}]}, "metadata_url"),
    ({"saml": [{**SAML, "metadata_file": "/nowhere"}]}, "there is no file"),
    ({"ldap": [{**LDAP, "filter": "(uid=x)"}]}, "{username}"),
    ({"ldap": [{**LDAP, "base": ""}]}, "base is needed"),
    ({"ldap": [{**LDAP, "uri": "ldap://a.example", "start_tls": False}]}, "plain text"),
    ({"ldap": [LDAP], "password": {"enabled": False}}, "password.enabled"),
    ({"jwt": {"enabled": True}}, "either secret or key_file"),
    ({"jwt": {"enabled": True, "secret": "s", "algorithms": ["RS256"]}}, "a secret is for HS256"),
    ({"jwt": {"enabled": True, "key_file": str(PAGE)}}, "anybody could make such tokens"),
    ({"sso": {"client_whitelist": ["app.example.org"]}}, "client_whitelist"),
]


@pytest.mark.parametrize(("values", "said"), WRONG)
def test_what_makes_no_sense_is_named(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        convert({**BASE, **values})
