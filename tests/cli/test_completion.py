"""``palpo completion``: shells complete what the command line has."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from palpo.cli.main import command_line, main

ASK = """
COMP_WORDS=({words} '')
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
COMP_WORDS[COMP_CWORD]={start!r}
_palpo
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def bash(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", "bash"]) == 0
    return capsys.readouterr().out


def completed(script: str, words: str, start: str = "") -> list[str]:
    text = f"complete() {{ :; }}\n{script}{ASK.format(words=words, start=start)}"
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True, timeout=10)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash(bash: str) -> None:
    assert {"user", "room", "doctor", "serve"} <= set(completed(bash, "palpo"))
    assert completed(bash, "palpo user", "dea") == ["deactivate"]
    assert completed(bash, "palpo user deactivate alice", "--er") == ["--erase"]
    assert completed(bash, "palpo --version user log-out", "--dev") == ["--device"]
    assert completed(bash, "palpo completion") == ["--help", "bash", "zsh", "fish"]
    # A user who is called as an action is.
    assert completed(bash, "palpo user lock list", "--js") == ["--json"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_can_read_theirs(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "deactivate" in script
    assert "erase" in script
    if shutil.which(shell) is not None:
        subprocess.run([shell, "-n"], input=script, text=True, check=True, timeout=10)


def test_every_command_has_help() -> None:
    (commands,) = [item for item in command_line()._actions if item.choices and item.metavar == "COMMAND"]
    assert not [item.dest for item in commands._choices_actions if not item.help]  # type: ignore[attr-defined]
