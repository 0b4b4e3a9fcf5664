"""What the documentation tells operators to type, and to write into files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from palpo.cli.main import command_line
from palpo.config.loader import load
from tests.support.authority import Authority

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


WHOLE = 'server_name = "example.org"\ndata = "/tmp"\n'
"""What the parts in the pages are put to."""


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each ``palpo …`` that a reader is told to type: the page, and the arguments."""
    for page in PAGES:
        for _, block in BLOCK.findall(page.read_text()):
            for line in re.sub(r"\\\n\s*", " ", block).splitlines():
                found = re.match(r"(?:[#$] )?(?:runuser -u palpo -- )?(?:\S*/)?palpo (.*)", line)
                if found:
                    yield page.name, shlex.split(found[1], comments=True)


def test_commands_can_be_typed_so() -> None:
    found = list(commands())
    assert len({tuple(arguments[:2]) for _, arguments in found}) > 5
    for page, arguments in found:
        try:
            command_line().parse_args(arguments)
        except SystemExit:
            pytest.fail(f"{page}: palpo {shlex.join(arguments)}")


def test_the_configuration_can_be_used() -> None:
    config = load(ROOT / "deploy" / "palpo.toml")
    assert str(config.data) == "/var/lib/palpo"
    (listener,) = config.listeners
    assert f"server {listener.bind};" in (ROOT / "deploy" / "nginx.conf").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_configurations_in_the_pages_can_be_used(page: Path, tmp_path: Path) -> None:
    """Whole ones, and parts that are put to a whole one."""
    for language, block in BLOCK.findall(page.read_text()):
        if language == "toml":
            file = tmp_path / "palpo.toml"
            whole = "" if "server_name" in block else WHOLE
            if "public_url" not in block:
                whole += 'public_url = "https://matrix.example.org"\n'
            file.write_text(whole + with_certificates(block, tmp_path))
            load(file)


def with_certificates(block: str, folder: Path) -> str:
    """The same with files that are there: certificates are the reader's own."""
    authority = Authority(folder)
    certificate, key = authority.files("example.org")
    settings = {"tls_certificate": certificate, "tls_key": key, "client_key": key, "ca_file": authority.file}
    for setting, path in settings.items():
        block = re.sub(rf'^{setting} = "[^"]*"', f'{setting} = "{path}"', block, flags=re.MULTILINE)
    # What others are to give the reader has to be a file, and is not looked into here.
    return re.sub(r'"/etc/palpo/[^"]*"', f'"{key}"', block)


def test_files_are_where_the_pages_say() -> None:
    text = "".join(
        (ROOT / "docs" / name).read_text()
        for name in ("first-hour.md", "monitoring.md", "operation.md", "packages.md")
    )
    named = {name for name in re.findall(r"\bdeploy/[\w./-]+[\w]", text) if not (ROOT / name).is_dir()}
    kept = {str(path.relative_to(ROOT)) for path in (ROOT / "deploy").rglob("*") if path.is_file()}
    # What dpkg runs is nobody's to copy.
    assert named == {path for path in kept if not path.startswith("deploy/debian/")}
