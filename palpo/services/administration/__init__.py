"""What administrators do with users, rooms, media and the server, however they ask for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministrationServices:
    """Those that the API, the web pages and the shell use."""
