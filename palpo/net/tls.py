"""How those prove their names that the server connects to on behalf of federation."""

from __future__ import annotations

import ssl
from pathlib import Path


def federation_tls(ca_file: Path | None) -> ssl.SSLContext:
    """Trust in the certificate authorities in ``ca_file``, or else in the system's.

    Raises OSError where the file is of no use. The HTTP library speaks HTTP/1.1, so no other is offered.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
