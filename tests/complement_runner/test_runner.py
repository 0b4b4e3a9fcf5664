"""Finding the suite and Go, and what the command line does without them."""

from __future__ import annotations

import io
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from palpo_complement import cli
from palpo_complement.checkout import CheckoutMissing, describe, find_checkout, is_checkout
from palpo_complement.engines import images_of
from palpo_complement.go import GoMissing, find_go, required_version
from palpo_complement.progress import Progress
from palpo_complement.run import unlisted, wanted_tests
from palpo_conformance.suite import load_suite

MODULE = "module github.com/matrix-org/complement\n\ngo 1.25.0\n"
SOURCE = """package csapi_tests

func TestMain(m *testing.M) {}
func TestLogin(t *testing.T) {}
func testHelper(t *testing.T) {}
func TestLogout(t *testing.T) {
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    path = tmp_path / "complement"
    (path / "tests/csapi").mkdir(parents=True)
    (path / "go.mod").write_text(MODULE)
    (path / "tests/csapi/login_test.go").write_text(SOURCE)
    for step in (("init", "-q"), ("add", "."), ("commit", "-qm", "suite")):
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", "-C", str(path), *identity, *step], check=True)
    return path


def test_a_named_checkout_is_used_and_described(checkout: Path) -> None:
    found = find_checkout(checkout, "0" * 40, {})
    assert len(found.commit) == 40
    assert found.label == found.commit
    assert find_checkout(None, "0" * 40, {"COMPLEMENT_DIR": str(checkout)}) == found
    assert required_version(found) == "1.25.0"


def test_a_changed_checkout_says_so(checkout: Path) -> None:
    (checkout / "tests/csapi/login_test.go").write_text("package csapi_tests\n")
    assert describe(checkout).label.endswith("-modified")


def test_a_named_directory_that_is_no_checkout_is_an_error(tmp_path: Path) -> None:
    assert not is_checkout(tmp_path)
    with pytest.raises(CheckoutMissing, match=str(tmp_path)):
        find_checkout(tmp_path, "0" * 40, {})


def test_the_cached_checkout_counts_only_at_the_pin(checkout: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "palpo"
    cache.mkdir(parents=True)
    checkout.rename(cache / "complement")
    commit = describe(cache / "complement").commit
    assert find_checkout(None, commit, {"XDG_CACHE_HOME": str(cache.parent)}).path == cache / "complement"


@pytest.mark.parametrize(("option", "code"), [([], 3), (["--allow-missing"], 0)])
def test_no_suite_is_never_a_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str], code: int
) -> None:
    assert cli.main(["run", "--complement", str(tmp_path), *option]) == code
    assert capsys.readouterr().out.startswith("Complement was not run: ")


def test_an_unknown_package_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--package", "msc0"]) == 2
    assert "tests/csapi" in capsys.readouterr().err


def test_list_prints_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "--subtests"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(load_suite().row_keys())


def test_options_of_the_command_line() -> None:
    line = ["run", "--package", "csapi,tests", "--hs-image", "hs2=other", "--no-schema-check"]
    options = cli.options_of(cli.parser().parse_args([*line, "--recipe", "synapse"]))
    assert options.packages == ("csapi", "tests")
    assert options.images == (("hs2", "other"),)
    assert options.schema_check is False
    assert options.recipe == "synapse"
    assert options.results is None


def test_of_a_pair_the_tests_of_two_servers_run() -> None:
    options = cli.options_of(
        cli.parser().parse_args(["run", "--other", "synapse", "--hs-image", "hs3=third"])
    )
    assert images_of(options) == (("hs3", "third"), ("hs2", "synapse"))
    pattern = wanted_tests(options, load_suite())
    assert pattern is not None
    assert re.search(pattern, "TestFederationRoomsInvite")
    assert re.search(pattern, "TestLogin") is None
    assert wanted_tests(replace(options, pattern="TestLogin"), load_suite()) == "TestLogin"
    assert wanted_tests(replace(options, other=None), load_suite()) is None


async def test_a_go_that_is_too_old_is_missing() -> None:
    with pytest.raises(GoMissing, match=r"Go 99\.0 or newer"):
        await find_go("99.0")


def test_differences_from_the_suites_list_are_named(checkout: Path) -> None:
    lines = unlisted(checkout, load_suite())
    assert "tests TestACLs is in the suite's list only" in lines
    (checkout / "tests/csapi/new_test.go").write_text("func TestBrandNew(t *testing.T) {}\n")
    assert "tests/csapi TestBrandNew is not in the suite's list" in unlisted(checkout, load_suite())


def test_reasons_are_what_go_printed_in_red() -> None:
    log = "\n".join(
        [
            "=== RUN   TestA",
            "    client.go:860: [CSAPI] POST hs1/register => 404",
            "    a_test.go:12: \x1b[31mregister returned 404",
            "        and more\x1b[39m",
            "2026/01/01 : Server logs:",
            "    --- FAIL: TestA/sub (0.00s)",
        ]
    )
    assert cli.reasons(log) == [
        "    a_test.go:12: register returned 404",
        "        and more",
        "    --- FAIL: TestA/sub (0.00s)",
    ]
    assert cli.reasons("    a_test.go:12: plain\n") == ["    a_test.go:12: plain"]
    (long,) = cli.reasons(f"    a_test.go:12: \x1b[31m{'x' * 5_000}\x1b[39m")
    assert len(long) == cli.WIDTH + 1


def test_progress_counts_ends_and_names_failures() -> None:
    stream = io.StringIO()
    progress = Progress(3, stream)
    for action in ("run", "output", "pass"):
        progress.event("tests", f'{{"Action":"{action}","Test":"TestA"}}')
    progress.event("tests", '{"Action":"fail","Test":"TestB"}')
    progress.event("tests", '{"Action":"pass"}')
    progress.event("tests", "noise")
    progress.finish()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "FAIL tests TestB"
    assert lines[-1].endswith("2/3 1 pass 1 fail 0 skip")
