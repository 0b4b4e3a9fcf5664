"""A little of the fuzzing: ``python -m tests.fuzz`` does more of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palpo.api.codec import Codec
from palpo.core.errors import BadRequest
from palpo.wire.registry import endpoints
from tests.fuzz.driver import Finding, driver
from tests.fuzz.oracle import Oracle
from tests.fuzz.pools import Pools
from tests.fuzz.requests import Maker, Request
from tests.fuzz.values import Values, written
from tests.support import collector
from tests.support.asgi import Answer

REQUESTS = int(os.environ.get("PALPO_FUZZ_REQUESTS", "10000"))
MAX_GROWTH_KIB = 100_000
CODECS = [Codec(item) for item in endpoints()]


@pytest.fixture
def _settled_again() -> Iterator[None]:
    """A run has the collector look at everything again."""
    yield
    collector.settle()


@pytest.mark.usefixtures("_settled_again")
async def test_no_request_gets_through_to_an_error(tmp_path: Path) -> None:
    async with driver(tmp_path, seed=20_000) as drive:
        result = await drive.run(REQUESTS)
    assert not result.findings, _told(result.findings)
    warm, end = result.memory_kib
    assert end - warm < MAX_GROWTH_KIB
    # The run is of use only as far as requests get past the checks at the door.
    operations = {operation for operation, _ in result.statuses}
    right = sum(number for (_, status), number in result.statuses.items() if status < 300)
    assert len(operations) > 150
    assert right > result.requests / 5  # Much is for administrators, and about what is not there.
    assert len(result.never_right()) < len(operations) / 3, result.never_right()


def _told(findings: list[Finding]) -> str:
    kinds = {f"{item.request.partition(':')[0]}: {item.problem}": item.request for item in findings}
    return "\n".join(f"{problem}\n   {request}" for problem, request in list(kinds.items())[:20])


async def test_a_run_is_its_seeds_own() -> None:
    def made(seed: int) -> list[Request]:
        values = Values(Random(seed), Pools())
        return [Maker(item).make(values, "token") for item in endpoints()]

    assert made(5) == made(5)
    assert made(5) != made(6)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (
            Answer(
                status=500, content_type="application/json", body=b'{"errcode":"M_UNKNOWN"}', complete=True
            ),
            "500",
        ),
        (Answer(status=404, content_type="text/plain", body=b"gone", complete=True), "no JSON"),
        (Answer(status=404, content_type="application/json", body=b"{}", complete=True), "no errcode"),
        (Answer(status=200, content_type="application/json", body=b"{}", complete=True), "schema"),
        (Answer(status=200, seconds=6.0, complete=True), "took"),
        (Answer(status=200), "no whole answer"),
    ],
)
def test_the_oracle_sees(answer: Answer, problem: str) -> None:
    request = Request(
        operation_id="getTokenOwner",
        method="GET",
        raw_path=b"/_matrix/client/v3/account/whoami",
        query=b"",
        headers=(),
        body=b"",
    )
    assert any(problem in item for item in Oracle().problems(request, answer))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100)
@given(body=st.binary(max_size=200), query=st.text(max_size=100), path=st.text(max_size=20))
def test_any_bytes_decode_or_are_refused(body: bytes, query: str, path: str) -> None:
    for codec in CODECS:
        for attempt in (lambda: codec.body(body), lambda: codec.params({"room_id": path}, query)):  # noqa: B023
            with contextlib.suppress(BadRequest):
                attempt()


@settings(max_examples=60)
@given(value=JSON)
def test_any_json_decodes_or_is_refused(value: object) -> None:
    body = written(value)
    for codec in CODECS:
        with contextlib.suppress(BadRequest):
            codec.body(body)
