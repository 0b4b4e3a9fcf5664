"""Signing on by SAML 2.0, at pysaml2's own identity provider, and by answers that are forged."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.sign_on.saml_idp import SSO, TRANSIENT, IdentityProvider, encoded
from tests.sign_on.support import CLIENT, REDIRECT, log_in, serving
from tests.support.homeserver import Homeserver
from tests.support.visitor import Visitor

pytestmark = pytest.mark.one_database

ACS = "/_synapse/client/saml2/authn_response"
METADATA = "/_synapse/client/saml2/metadata.xml"


def config(idp: Path, **settings: Any) -> dict[str, Any]:
    return {
        "id": "saml",
        "name": "Ministry",
        "metadata_file": str(idp),
        "localpart_template": "{{ user.uid }}",
        "display_name_template": "{{ user.cn }}",
        **settings,
    }


class Site:
    """A server, its identity provider, and a browser."""

    def __init__(self, server: Homeserver, idp: IdentityProvider) -> None:
        self.server = server
        self.idp = idp
        self.browser = Visitor(server.app)

    async def begin(self) -> str:
        """The request that the browser takes to the identity provider."""
        await self.browser.go(f"{REDIRECT}/saml?redirectUrl={CLIENT}", until=SSO)
        return self.browser.location

    async def come_back(self, xml: str, relay_state: str) -> int:
        """How the identity provider's form is answered."""
        fields = {"SAMLResponse": encoded(xml), "RelayState": relay_state}
        self.browser.answer = await self.browser.http.post(f"http://test.example{ACS}", data=fields)
        return self.browser.answer.status_code

    async def finish(self, **changed: Any) -> int:
        """The whole way."""
        return await self.come_back(*self.idp.answer(await self.begin(), **changed))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("saml")


@pytest.fixture(scope="module")
def metadata(folder: Path) -> Path:
    return IdentityProvider(folder).metadata


async def site_of(server: Homeserver, folder: Path) -> Site:
    """A site whose identity provider has read the server's own metadata."""
    answer = await server.http.get(METADATA)
    assert answer.status_code == 200
    return Site(server, IdentityProvider(folder, answer.content))


@pytest.fixture
async def site(tmp_path: Path, folder: Path, metadata: Path) -> AsyncIterator[Site]:
    async with serving(tmp_path, saml=[config(metadata)]) as server:
        made = await site_of(server, folder)
        yield made
        await made.browser.close()


async def test_a_new_user_and_again(site: Site) -> None:
    assert await site.finish() == 303
    alice = await log_in(site.server, site.browser.location)
    assert alice.user_id == "@alice:test.example"
    profile = await alice.get("/profile/@alice:test.example")
    assert profile["displayname"] == "Alice of Wonderland"
    assert (
        await site.finish(attributes={"uid": ["somebody"]}, sign_response=True, sign_assertion=False) == 303
    )
    assert (await log_in(site.server, site.browser.location)).user_id == alice.user_id


async def test_nothing_is_believed_unsigned(site: Site) -> None:
    assert await site.finish(sign_assertion=False) == 403


async def test_what_was_changed_after_it_was_signed(site: Site) -> None:
    xml, relay_state = site.idp.answer(await site.begin())
    assert "alice-1" in xml
    assert await site.come_back(xml.replace("alice-1", "admin"), relay_state) == 403
    unsigned = re.sub(r"<ns\d+:Signature .*?</ns\d+:Signature>", "", xml, flags=re.S)
    assert unsigned != xml
    assert await site.come_back(unsigned, relay_state) == 403


WRAPPINGS = ["before", "after", "in_extensions", "in_object", "around"]


@pytest.mark.parametrize("where", WRAPPINGS)
async def test_saml_signature_wrapping(site: Site, where: str) -> None:
    """An assertion that nobody signed, beside one that is signed and is not read."""
    xml, relay_state = site.idp.answer(await site.begin())
    found = re.search(r"<(ns\d+):Assertion .*</\1:Assertion>", xml, re.S)
    assert found is not None
    signed = found[0]
    forged = re.sub(r"<ns\d+:Signature .*?</ns\d+:Signature>", "", signed, flags=re.S)
    forged = forged.replace("alice-1", "admin").replace('ID="', 'ID="forged-', 1)
    signature = re.search(r"<(ns\d+):Signature .*</\1:Signature>", signed, re.S)
    assert signature is not None
    if where == "before":
        wrapped = xml.replace(signed, forged + signed)
    elif where == "after":
        wrapped = xml.replace(signed, signed + forged)
    elif where == "in_extensions":
        prefix = re.match(r".*?<(ns\d+):Response", xml, re.S)
        assert prefix is not None
        extensions = f"<{prefix[1]}:Extensions>{signed}</{prefix[1]}:Extensions>"
        wrapped = xml.replace(signed, extensions + forged)
    elif where == "in_object":
        ns = signature[1]
        hidden = f"<{ns}:Object>{signed.replace(signature[0], '')}</{ns}:Object></{ns}:Signature>"
        inner = signature[0].replace(f"</{ns}:Signature>", hidden)
        wrapped = xml.replace(signed, re.sub(r"(</ns\d+:Issuer>)", lambda m: m[1] + inner, forged, count=1))
    else:
        closing = re.search(r"</ns\d+:Assertion>$", forged)
        assert closing is not None
        wrapped = xml.replace(signed, forged[: closing.start()] + signed + closing[0])
    assert wrapped != xml
    assert await site.come_back(wrapped, relay_state) == 403


async def test_xxe(site: Site) -> None:
    xml, relay_state = site.idp.answer(await site.begin())
    body = xml.partition("?>")[2] if xml.startswith("<?xml") else xml
    for declared in (
        '<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE r [<!ENTITY a "aa"><!ENTITY e "&a;&a;">]>',
        '<!DOCTYPE r SYSTEM "http://127.0.0.1:1/x">',
    ):
        assert await site.come_back(declared + body.replace("alice-1", "&e;"), relay_state) == 403


async def test_a_comment_does_not_cut_a_name(site: Site) -> None:
    """A signature is good whatever comments there are, so they must not change what is read."""
    xml, relay_state = site.idp.answer(await site.begin(), name="admin.evil")
    answered = await site.come_back(xml.replace("admin.evil", "admin<!-- -->.evil"), relay_state)
    if answered == 303:
        await log_in(site.server, site.browser.location)

        async def linked(tx: Any) -> tuple[Any, Any]:
            from palpo.storage import external_ids

            return [await external_ids.find(tx, "saml", name) for name in ("admin", "admin.evil")]

        assert await site.server.services.server.db.read(linked) == [None, "@alice:test.example"]
    else:
        assert answered == 403


async def test_an_answer_to_another_question(site: Site) -> None:
    assert await site.finish(in_response_to="id-of-another") == 403


async def test_an_answer_for_another_service(site: Site) -> None:
    assert await site.finish(sp_entity_id="http://other.example/metadata") == 403
    assert await site.finish(destination="http://other.example/acs") == 403


async def test_an_answer_that_has_expired(site: Site) -> None:
    xml, relay_state = site.idp.answer(await site.begin())
    later = re.sub(r'NotOnOrAfter="[^"]*"', 'NotOnOrAfter="2001-01-01T00:00:00Z"', xml)
    assert await site.come_back(later, relay_state) == 403


async def test_login_csrf(site: Site) -> None:
    """Who has a victim's browser send an answer that they got themselves gets nowhere."""
    xml, relay_state = site.idp.answer(await site.begin())
    victim = Site(site.server, site.idp)
    assert await victim.come_back(xml, relay_state) == 400
    request = await victim.begin()
    _, own = site.idp.answer(request)
    assert await victim.come_back(xml, own) == 403
    await victim.browser.close()


async def test_a_name_that_is_another_each_time(site: Site) -> None:
    assert await site.finish(name_format=TRANSIENT) == 403


async def test_what_is_no_answer(site: Site) -> None:
    _, relay_state = site.idp.answer(await site.begin())
    for wrong in "", "x", "<a/>", "<a>" * 5000:
        assert await site.come_back(wrong, relay_state) == (400 if not wrong else 403)


async def test_a_subject_attribute_and_requests_that_are_signed(
    tmp_path: Path, folder: Path, metadata: Path
) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    from tests.support.certificates import make_certificate

    certificate, key = make_certificate(
        tmp_path / "sp", "test.example", rsa.generate_private_key(65537, 2048)
    )
    settings = {"subject_attribute": "uid", "certificate": str(certificate), "key": str(key)}
    async with serving(tmp_path, saml=[config(metadata, **settings)]) as server:
        site = await site_of(server, folder)
        assert "Signature=" in urlsplit(await site.begin()).query
        assert await site.finish(name_format=TRANSIENT) == 303
        assert (await log_in(server, site.browser.location)).user_id == "@alice:test.example"
        await site.browser.close()
