"""Signing on by SAML 2.0, at pysaml2's own identity provider, and by answers that are forged."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.sign_on.saml_idp import BY_REDIRECT, ENTITY, POST, SLO, SSO, TRANSIENT, IdentityProvider, encoded
from tests.sign_on.support import CLIENT, REDIRECT, log_in, serving
from tests.support.browser import FormOf
from tests.support.homeserver import Homeserver
from tests.support.visitor import Visitor

pytestmark = pytest.mark.one_database

ACS = "/_synapse/client/saml2/authn_response"
METADATA = "/_synapse/client/saml2/metadata.xml"
SLO_PATH = "/_synapse/client/saml2/logout"


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


async def service_metadata(server: Homeserver) -> bytes:
    answer = await server.http.get(METADATA)
    assert answer.status_code == 200
    return answer.content


async def site_of(server: Homeserver, folder: Path) -> Site:
    """A site whose identity provider has read the server's own metadata."""
    return Site(server, IdentityProvider(folder, await service_metadata(server)))


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


async def test_an_answer_is_taken_once(site: Site) -> None:
    """By a browser that forgets nothing, and by whoever has copied all that it has."""
    xml, relay_state = site.idp.answer(await site.begin())
    kept = dict(site.browser.http.cookies)
    assert await site.come_back(xml, relay_state) == 303
    assert await site.come_back(xml, relay_state) == 400
    for name, value in kept.items():
        site.browser.http.cookies.set(name, value, domain="test.example")
    assert await site.come_back(xml, relay_state) == 400


async def test_a_key_that_comes_with_the_answer(site: Site, tmp_path: Path) -> None:
    """Somebody else signs in the provider's name, and brings a certificate for it."""
    for entity in ENTITY, "http://evil.example/metadata":
        site.idp = IdentityProvider(tmp_path / "evil", await service_metadata(site.server), entity=entity)
        for signed in {"sign_assertion": True}, {"sign_assertion": False, "sign_response": True}:
            assert await site.finish(**signed) == 403


async def test_an_assertion_of_one_answer_in_another(site: Site) -> None:
    """Signed responses do not lend their signature to assertions that were put into them."""
    xml, relay_state = site.idp.answer(await site.begin(), sign_assertion=False, sign_response=True)
    assert await site.come_back(xml.replace("alice-1", "admin"), relay_state) == 403
    first, _ = site.idp.answer(await site.begin())
    url = await site.begin()
    second, relay_state = site.idp.answer(url, sign_assertion=False)
    assertion = re.compile(r"<(ns\d+):Assertion .*</\1:Assertion>", re.S)
    old, new = assertion.search(first), assertion.search(second)
    assert old is not None
    assert new is not None
    assert await site.come_back(second.replace(new[0], old[0]), relay_state) == 403


async def test_ids_that_are_there_twice(site: Site) -> None:
    xml, relay_state = site.idp.answer(await site.begin())
    found = re.search(r"<(ns\d+):Assertion .*</\1:Assertion>", xml, re.S)
    assert found is not None
    forged = found[0].replace("alice-1", "admin")
    for twice in (
        xml.replace(found[0], forged + found[0]),
        xml.replace(found[0], found[0] + forged),
        xml.replace(found[0], found[0] + found[0]),
    ):
        assert await site.come_back(twice, relay_state) == 403


async def test_recipient_audience_and_clock(site: Site) -> None:
    """Each of what bounds an assertion; they are signed by the provider, as they are."""
    for old, new in (
        (r'Recipient="[^"]*"', 'Recipient="http://other.example/acs"'),
        (r"(:Audience>)[^<]*<", r"\1http://other.example<"),
        (r"<ns\d+:AudienceRestriction>.*</ns\d+:AudienceRestriction>", ""),
        (r"<ns\d+:Conditions .*</ns\d+:Conditions>", ""),
        (r'Recipient="[^"]*"', ""),
        (r'(SubjectConfirmationData[^>]*)InResponseTo="[^"]*"', r"\1"),
        (r'(SubjectConfirmationData[^>]*)NotOnOrAfter="[^"]*"', r"\1"),
        (r'cm:bearer"', 'cm:sender-vouches"'),
        (r'NotBefore="[^"]*"', 'NotBefore="2101-01-01T00:00:00Z"'),
        (r'(SubjectConfirmationData[^>]*)InResponseTo="[^"]*"', r'\1InResponseTo="another"'),
    ):
        assert await site.come_back(*await resigned(site, old, new)) == 403, new
    assert await site.come_back(*await resigned(site, "alice-1", "alice-1")) == 303


async def resigned(site: Site, old: str, new: str) -> tuple[str, str]:
    """An answer in which something is different, signed by the provider after that."""
    xml, relay_state = site.idp.answer(await site.begin(), sign_assertion=False)
    changed, count = re.subn(old, new, xml)
    assert count, old
    return site.idp.signed(changed), relay_state


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


async def log_out(site: Site, name: str, *sessions: str, binding: str, **made: Any) -> int:
    """How a request to log somebody out is answered; the browser is one that has nothing to do with it."""
    asked = site.idp.logout(name, *sessions, binding=binding, **made)
    if binding == POST:
        (fields,) = FormOf(str(asked["data"])).forms[0][1:]
        answer = await site.server.http.post(SLO_PATH, data=fields)
    else:
        answer = await site.server.http.get(
            dict(asked["headers"])["Location"].removeprefix("http://test.example")
        )
    if answer.status_code == 303:
        assert answer.headers["location"].startswith(f"{SLO}?SAMLResponse=")
        assert "RelayState=where+we+were" in answer.headers["location"]
    return answer.status_code


@pytest.mark.parametrize("binding", [POST, BY_REDIRECT])
async def test_logging_out_at_the_provider(site: Site, binding: str) -> None:
    xml, relay_state = site.idp.answer(await site.begin())
    found = re.search(r'SessionIndex="([^"]*)"', xml)
    assert found is not None
    assert await site.come_back(xml, relay_state) == 303
    alice = await log_in(site.server, site.browser.location)
    assert await site.finish() == 303
    other = await log_in(site.server, site.browser.location)
    assert await log_out(site, "alice-1", found[1], binding=binding, sign=False) == 403
    assert await log_out(site, "somebody", found[1], binding=binding) == 303
    await alice.get("/account/whoami")
    assert await log_out(site, "alice-1", found[1], binding=binding) == 303
    await alice.get("/account/whoami", status=401)
    await other.get("/account/whoami")
    assert await log_out(site, "alice-1", binding=binding) == 303
    await other.get("/account/whoami", status=401)


async def test_requests_to_log_out_that_are_forged(site: Site, tmp_path: Path) -> None:
    assert await site.finish() == 303
    alice = await log_in(site.server, site.browser.location)
    good = dict(site.idp.logout("alice-1", binding=BY_REDIRECT)["headers"])["Location"]
    path = good.removeprefix("http://test.example")
    other = dict(site.idp.logout("bob", binding=BY_REDIRECT)["headers"])["Location"]
    request = re.search(r"SAMLRequest=[^&]*", good)
    assert request is not None
    for wrong in (
        re.sub(r"&Signature=[^&]*", "", path),
        re.sub(r"&Signature=[^&]*", "&Signature=AAAA", path),
        re.sub(r"&SigAlg=[^&]*", "&SigAlg=none", path),
        re.sub(r"SAMLRequest=[^&]*", request[0], other.removeprefix("http://test.example")),
        path.replace("RelayState=where", "RelayState=elsewhere"),
        f"{other.removeprefix('http://test.example')}&SAML%52equest={request[0].partition('=')[2]}",
        f"{other.removeprefix('http://test.example')}&{request[0]}",
        f"{SLO_PATH}?{request[0]}&{other.partition('?')[2]}",
        f"{SLO_PATH}?{request[0]}",
        SLO_PATH,
        f"{SLO_PATH}?SAMLRequest=x",
    ):
        assert (await site.server.http.get(wrong)).status_code in (303, 403), wrong
        await alice.get("/account/whoami")
    for entity in ENTITY, "http://evil.example/metadata":
        site.idp = IdentityProvider(tmp_path / "evil", await service_metadata(site.server), entity=entity)
        for binding in POST, BY_REDIRECT:
            assert await log_out(site, "alice-1", binding=binding) == 403
    assert (await site.server.http.post(SLO_PATH, data={"SAMLRequest": "x"})).status_code == 403
    assert (await site.server.http.post(SLO_PATH, data={"x": "x"})).status_code == 400
    await alice.get("/account/whoami")


async def test_user_interactive_auth(site: Site) -> None:
    """A stage by signing on once more, as whoever it is asked of, and as nobody else."""
    assert await site.finish() == 303
    alice = await log_in(site.server, site.browser.location)
    asked = await alice.post("/account/deactivate", {}, status=401)
    assert asked["flows"] == [{"stages": ["m.login.sso"]}]
    auth = {"auth": {"session": asked["session"]}}
    assert await confirm(site, asked["session"], "somebody else") == 403
    await alice.post("/account/deactivate", auth, status=401)
    assert await confirm(site, asked["session"], "alice-1") == 200
    await alice.post("/account/deactivate", auth)


async def confirm(site: Site, session: str, name: str) -> int:
    page = f"/_matrix/client/v3/auth/m.login.sso/fallback/web?session={session}"
    await site.browser.go(page, until=SSO)
    await site.browser.submit(until=SSO)
    return await site.come_back(*site.idp.answer(site.browser.location, name))
