"""``palpo import``: take over a server that ran on other software."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palpo.cli.failures import Failure, without_password
from palpo.cli.noting import note, register_noted
from palpo.cli.options import add_config, alone, check_unserved, config_of, prepared_alone
from palpo.cli.outcomes import Outcome, add_json, show
from palpo.cli.progress import Progress
from palpo.config import signing_key, synapse
from palpo.config.model import Config
from palpo.config.synapse import SynapseConfig
from palpo.core.identifiers import ServerName
from palpo.db.errors import DatabaseError

if TYPE_CHECKING:
    from palpo.db.transaction import Transaction
    from palpo.services.administration.synapse_import.synapse_import import Imported

HELP = "take over all that is on a Synapse, which must be stopped, as this server must be"
DONE = "The import was done before, and nothing was changed. To compare, use --verify-only"
SHOWN = 1000
"""Differences that are printed."""


def register(subparsers: Any) -> None:
    """Add the command."""
    text = "take over a server that ran on other software"
    parser: argparse.ArgumentParser = subparsers.add_parser("import", help=text, description=text)
    actions = parser.add_subparsers(required=True, metavar="SOFTWARE")
    command = actions.add_parser("synapse", help=HELP, description=HELP)
    add_config(command)
    add_json(command)
    command.add_argument(
        "homeserver",
        type=Path,
        nargs="*",
        metavar="HOMESERVER_YAML",
        help="Synapse's configuration files, which say where the rest is",
    )
    command.add_argument(
        "--database", metavar="URL", help="Synapse's database: sqlite:///path, or postgresql://user@host/name"
    )
    command.add_argument("--media", type=Path, metavar="FOLDER", help="Synapse's media store")
    command.add_argument("--no-media", action="store_true", help="leave the media out")
    command.add_argument("--signing-key", type=Path, metavar="FILE", help="Synapse's signing key")
    command.add_argument(
        "--verify-only", action="store_true", help="import nothing: compare what is here with what is there"
    )
    command.set_defaults(run=run)
    register_noted("import synapse")


@dataclass(slots=True, kw_only=True)
class Report:
    """What has come of it."""

    steps: list[Imported] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    left_out: int = 0
    """Differences that are not among them."""
    compared: bool = True

    @property
    def was_done(self) -> bool:
        """Whether an import before it has done all there is."""
        return bool(self.steps) and all(step.before for step in self.steps)

    def note(self, line: str) -> None:
        """Add a difference."""
        if len(self.differences) < SHOWN:
            self.differences.append(line)
        else:
            self.left_out += 1


def run(options: argparse.Namespace) -> int:
    """Import, compare, and say what to do next."""
    from palpo.services.server.server_identity import check_server_name

    config = config_of(options)
    theirs = _theirs(options, config)
    check_server_name(theirs.server_name, config.server_name)
    if theirs.signing_key is not None and not options.verify_only:
        with alone(config):
            _take_key(config, theirs.signing_key)
    with prepared_alone(config):
        report = asyncio.run(_import(config, theirs, verify_only=options.verify_only))
    if not options.verify_only:
        note(config, "import synapse", target=without_password(theirs.database_url))
    return show(_outcome(report, theirs), as_json=options.json)


def _theirs(options: argparse.Namespace, config: Config) -> SynapseConfig:
    """What is to be imported, by its configuration or by the options; raises ConfigError and Failure."""
    read = synapse.read(options.homeserver) if options.homeserver else SynapseConfig(config.server_name)
    url: str = options.database or read.database_url
    media: Path | None = None if options.no_media else options.media or read.media
    if not url:
        raise Failure("name Synapse's homeserver.yaml, or its --database")
    if media is None and not options.no_media:
        raise Failure("name Synapse's --media folder, or leave them out with --no-media")
    if media is not None and not media.is_dir():
        raise Failure(f"--media: {media} is no folder")
    key: Path | None = options.signing_key or read.signing_key
    if key is None:
        raise Failure("name Synapse's --signing-key file: this server has to sign with the same")
    return replace(read, database_url=url, media=media, signing_key=key)


def _take_key(config: Config, path: Path) -> None:
    """Sign with the same key as Synapse has; raises Failure where another one is here."""
    theirs = signing_key.read(path)
    if theirs is None:
        raise Failure(f"--signing-key: there is no file {path}")
    ours = signing_key.load(config.data)
    if ours is None:
        signing_key.copy(path, config.data)
    elif ours != theirs:
        raise Failure(
            f"{config.data / signing_key.FILE_NAME} is not the key that Synapse has signed with: "
            "move it away, and begin anew with an empty database"
        )


async def _import(config: Config, theirs: SynapseConfig, *, verify_only: bool) -> Report:
    from palpo.app import built, identity_of, opened
    from palpo.app.composition.synapse_import import synapse_import
    from palpo.db.synapse import open_synapse
    from palpo.services.administration.synapse_import.steps import Source
    from palpo.services.administration.synapse_import.whole import check_source

    async with opened(config) as db:
        await identity_of(config, db).check()
        await check_unserved(config, db)
        await db.read(partial(_check_ours, begun=verify_only))
    report, name = Report(), ServerName(config.server_name)
    try:
        async with open_synapse(theirs.database_url) as there, built(config) as services:
            await check_source(there, name)
            source = Source(db=there, server_name=name, media=theirs.media)
            work = synapse_import(services, source)
            with Progress() as progress:
                if not verify_only:
                    report.steps = await work.run(progress.told)
                report.compared = not report.was_done
                if report.compared:
                    async for line in work.differences(progress.told):
                        report.note(line)
    except ValueError as error:
        raise Failure(f"--database {without_password(theirs.database_url)}: {error}") from error
    except DatabaseError as error:
        raise Failure(f"{without_password(theirs.database_url)} or database.url: {error}") from error
    return report


async def _check_ours(tx: Transaction, *, begun: bool) -> None:
    """Raises Failure where this database is in use by other things than this import."""
    from palpo.storage import server_meta
    from palpo.storage import synapse_import as storage

    is_begun = await storage.is_begun(tx)
    if begun and (not is_begun or await storage.is_unfinished(tx)):
        raise Failure("the import has not come to its end: go on with it first")
    if not is_begun and await server_meta.any_user(tx) is not None:
        raise Failure("database.url: there are users in it already: name an empty database")


def _outcome(report: Report, theirs: SynapseConfig) -> Outcome:
    data = {
        "steps": [asdict(step) for step in report.steps],
        "compared": report.compared,
        "differences": report.differences,
        "differences_left_out": report.left_out,
        "configuration": _advice(theirs),
    }
    lines = [
        f"{step.step}: {step.rows}{' (was done before)' if step.before else ''}" for step in report.steps
    ]
    lines += [f"DIFFERENT {line}" for line in report.differences]
    number = len(report.differences) + report.left_out
    lines.append(f"Compared: {number} differences" if report.compared else DONE)
    if _advice(theirs):
        lines += ["For the configuration:", *(f"  {line}" for line in _advice(theirs))]
    return Outcome("\n".join(lines), data, 1 if number else 0)


def _advice(theirs: SynapseConfig) -> list[str]:
    """What the configuration has to say that Synapse's said."""
    lines = []
    if theirs.pepper:
        lines.append("password.pepper has to be Synapse's password_config.pepper")
    if theirs.public_url:
        lines.append(f'public_url = "{theirs.public_url.rstrip("/")}"')
    lines += [f"appservices: {name}" for name in theirs.appservices]
    if theirs.has_old_keys:
        lines.append("old_signing_keys of Synapse are not published here")
    return lines
