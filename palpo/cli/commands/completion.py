"""``palpo completion``: what a shell needs to complete ``palpo``, made from the command line itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

HELP = "print a script by which a shell completes commands and options"
DESCRIPTION = """\
bash: palpo completion bash > /etc/bash_completion.d/palpo;
zsh: palpo completion zsh > /usr/local/share/zsh/site-functions/_palpo;
fish: palpo completion fish > ~/.config/fish/completions/palpo.fish"""

BASH = """\
_palpo() {{
    local path="" word i
    for ((i = 1; i < COMP_CWORD; i++)); do
        word="${{COMP_WORDS[i]}}"
        case "$path/$word" in
{paths}
        esac
    done
    case "$path" in
{words}
    esac
}}
complete -o default -F _palpo palpo
"""
ZSH = """\
#compdef palpo
_palpo() {{
    local path_="" word
    for word in "${{(@)words[2,CURRENT-1]}}"; do
        case "$path_/$word" in
{paths}
        esac
    done
    case "$path_" in
{words}
    esac
    _files
}}
_palpo "$@"
"""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser("completion", help=HELP, description=DESCRIPTION)
    parser.add_argument("shell", choices=["bash", "zsh", "fish"])
    parser.set_defaults(run=_run, commands=subparsers)


def _run(options: argparse.Namespace) -> int:
    tree = dict(_tree(options.commands, ""))
    print(WRITERS[options.shell](tree), end="")
    return 0


def _tree(commands: Any, path: str) -> Iterator[tuple[str, dict[str, str]]]:
    """What may follow each path of commands, ``/user/create``: its words, each with its help."""
    helps = {action.dest: action.help or "" for action in commands._choices_actions}
    yield path, {name: helps.get(name, "") for name in commands.choices}
    for name, parser in commands.choices.items():
        inner = [item for item in parser._actions if isinstance(item, argparse._SubParsersAction)]
        for item in inner:
            yield from _tree(item, f"{path}/{name}")
        if not inner:
            yield f"{path}/{name}", dict(_options(parser))


def _options(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    for action in parser._actions:
        for name in action.option_strings:
            if name.startswith("--"):
                yield name, action.help or ""
        if not action.option_strings and action.choices is not None:
            yield from ((str(choice), "") for choice in action.choices)


def _bash(tree: Mapping[str, Mapping[str, str]]) -> str:
    typed = '"${COMP_WORDS[COMP_CWORD]}"'
    words = [
        f"        '{path}') COMPREPLY=($(compgen -W '{' '.join(found)}' -- {typed})) ;;"
        for path, found in tree.items()
    ]
    return BASH.format(paths=_paths(tree, "path"), words="\n".join(words))


def _zsh(tree: Mapping[str, Mapping[str, str]]) -> str:
    words = [f"        '{path}') compadd -- {' '.join(found)} ;;" for path, found in tree.items()]
    return ZSH.format(paths=_paths(tree, "path_"), words="\n".join(words))


def _paths(tree: Mapping[str, Mapping[str, str]], name: str) -> str:
    known = "|".join(f"'{path}'" for path in tree if path)
    return f'            {known}) {name}="${name}/$word" ;;'


def _fish(tree: Mapping[str, Mapping[str, str]]) -> str:
    lines = [
        "function __palpo_at",
        "    set -l words (commandline -opc | string match -v -- '-*')",
        '    test "$words[2..-1]" = "$argv[1]"',
        '    or begin; test (count $argv) -gt 1; and string match -q -- "$argv[1] *" "$words[2..-1]"; end',
        "end",
    ]
    for path, found in tree.items():
        words = path.strip("/").replace("/", " ")
        for name, help_text in found.items():
            what = f"-l {name[2:]}" if name.startswith("--") else f"-f -a {name}"
            within = " options" if name.startswith("--") else ""
            text = help_text.replace("\\", "").replace("'", "\\'")
            lines.append(f"complete -c palpo -n \"__palpo_at '{words}'{within}\" {what} -d '{text}'")
    return "\n".join(lines) + "\n"


WRITERS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
