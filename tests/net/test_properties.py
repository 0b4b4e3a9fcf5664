"""Whatever others say, of names, headers and bodies, has a bounded result or an error of its own."""

import contextlib
import zlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from palpo.core.driving import drive
from palpo.core.errors import InvalidParam
from palpo.core.identifiers import ServerName, parse_server_name
from palpo.net.discovery import MAX_DESTINATIONS, Delegated, Place, Question, Records, find
from palpo.net.dns import Service
from palpo.net.federation_answer import CHUNK, Unzip
from palpo.net.federation_errors import BadAnswer
from palpo.net.hosts import parse_hosts
from palpo.net.well_known import LEAST_S, MOST_S, Delegation, Unusable, lifetime_s, parse_delegation

NAMES = st.one_of(
    st.from_regex(r"[a-z0-9.-]{1,20}(:[0-9]{1,5})?", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
    st.text(max_size=20),
)
PORTS = st.integers(0, 65_535)
SERVICES = st.lists(
    st.builds(Service, PORTS, PORTS, PORTS, st.sampled_from([".", "t.example", ""])), max_size=40
)


def is_name(text: str) -> bool:
    try:
        parse_server_name(text)
    except InvalidParam:
        return False
    return True


@given(NAMES, NAMES, SERVICES)
def test_any_names_and_records(name: str, delegated: str, services: list[Service]) -> None:
    def answer(question: Question) -> Any:
        if isinstance(question, Place):
            return None
        if isinstance(question, Delegated):
            return Delegation(ServerName(delegated) if is_name(delegated) else None)
        return Records(tuple(services))

    if not is_name(name):
        return
    route = drive(find(name), answer)
    assert len(route.destinations) <= MAX_DESTINATIONS
    assert len(route.steps) <= 6
    for destination in route.destinations:
        assert destination.tls_name in (name + delegated).replace("[", "").replace("]", "")
        assert destination.http_host in (name, delegated)


@given(st.dictionaries(st.sampled_from(["Cache-Control", "Expires"]), st.text(max_size=60)))
def test_any_headers(headers: dict[str, str]) -> None:
    assert LEAST_S <= lifetime_s(headers, 1_700_000_000) <= MOST_S


@given(st.one_of(st.binary(max_size=200), st.text().map(lambda text: f'{{"m.server": "{text}"}}'.encode())))
def test_any_well_known_body(body: bytes) -> None:
    with contextlib.suppress(Unusable):
        assert is_name(parse_delegation(body))


@given(st.text(max_size=300))
def test_any_hosts_file(text: str) -> None:
    assert all(parse_hosts(text).values())


@given(st.binary(max_size=1000), st.integers(1, 300), st.integers(1, 100_000), st.binary(max_size=10))
def test_unzipping_in_any_pieces(data: bytes, times: int, size: int, damage: bytes) -> None:
    data *= times
    packer = zlib.compressobj(wbits=31)
    zipped = packer.compress(data) + packer.flush()
    unzip = Unzip("a.example")
    pieces = [piece for part in cut(zipped, size) for piece in unzip.pieces(part)]
    assert b"".join(pieces) == data
    assert unzip.whole
    assert all(0 < len(piece) <= CHUNK for piece in pieces)
    with contextlib.suppress(BadAnswer):
        broken = Unzip("a.example")
        for part in cut(zipped[: len(zipped) // 2] + damage + zipped[len(zipped) // 2 :], size):
            assert all(len(piece) <= CHUNK for piece in broken.pieces(part))


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]
