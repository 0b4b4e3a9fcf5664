"""How those prove their names that the server connects to on behalf of federation."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

HTTP_1 = ("http/1.1",)
HTTP_2 = ("h2", "http/1.1")


def federation_tls(ca_file: Path | None, protocols: Sequence[str] = HTTP_1) -> ssl.SSLContext:
    """Trust in the certificate authorities in ``ca_file``, or else in the system's.

    ``protocols`` are offered, the best first. Raises OSError where the file is of no use.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(list(protocols))
    return context
