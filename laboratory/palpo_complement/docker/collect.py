"""`python -m palpo_complement.docker.collect CONTAINER FOLDER`: keep a container's log and its records.

Complement removes a container after its test; its post-test script runs this before.
"""

from __future__ import annotations

import io
import sys
import tarfile
from contextlib import closing
from pathlib import Path

from docker import from_env
from docker.errors import NotFound
from docker.models.containers import Container

from palpo_complement.records import IN_IMAGE, RECORDS


def main(identifier: str, folder: Path) -> None:
    """Write `ID.log`, and the records where the image keeps any."""
    with closing(from_env()) as client:
        container = client.containers.get(identifier)
        (folder / f"{identifier}.log").write_bytes(container.logs())
        for name in RECORDS:
            content = _file(container, IN_IMAGE / name)
            if content is not None:
                (folder / f"{identifier}.{name}").write_bytes(content)


def _file(container: Container, path: Path) -> bytes | None:
    try:
        chunks, _ = container.get_archive(str(path))
    except NotFound:
        return None
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        member = archive.extractfile(path.name)
        return member.read() if member is not None else None


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
