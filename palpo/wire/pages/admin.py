"""The pages with which administrators run the server: ``/_palpo/admin/…``.

Who may open them is said by the browser's session (``palpo.admin.pages``), so none asks for an access token.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from palpo.core.identifiers import RoomId, UserId
from palpo.wire.endpoint import Auth, Endpoint, Limit, NoParams, Page, Params

PREFIX = "/_palpo/admin"
PAGE = 50
"""Rows of a list."""


class ListParams(Params, frozen=True, kw_only=True):
    """A page of a list, from 1 on, and what is searched for."""

    page: Annotated[int, msgspec.Meta(ge=1, le=10**6)] = 1
    search: str = ""

    @property
    def skipped(self) -> int:
        """Rows of the pages before."""
        return (self.page - 1) * PAGE


class UsersParams(ListParams, frozen=True, kw_only=True):
    """Of which kind users are; empty: any."""

    kind: str = ""


class NameParams(Params, frozen=True, kw_only=True):
    """Something, in the path."""

    name: str


class UserParams(Params, frozen=True, kw_only=True):
    """A user here."""

    name: UserId


class RoomParams(Params, frozen=True, kw_only=True):
    """A room."""

    name: RoomId


class ReportsParams(ListParams, frozen=True, kw_only=True):
    """Reports about ``event``, ``room`` or ``user``; empty: about anything."""

    about: str = ""


class MediaParams(ListParams, frozen=True, kw_only=True):
    """Media of a room, or a file."""

    room: str = ""
    uri: str = ""


class FileParams(Params, frozen=True, kw_only=True):
    """A file."""

    server_name: str
    media_id: str


class MediaChangeParams(FileParams, frozen=True, kw_only=True):
    """What is done with a file: quarantine, release, protect, unprotect or delete."""

    verb: str


class AuditParams(Params, frozen=True, kw_only=True):
    """Entries before one, and of whom."""

    before: int | None = None
    actor: str = ""


class LogParams(Params, frozen=True, kw_only=True):
    """Lines of a level or graver, with a text in them."""

    level: str = ""
    search: str = ""


def page(path: str, name: str, params: Any = NoParams) -> Endpoint[Any, Any, Page]:
    """A page at ``path`` below the prefix."""
    return Endpoint(
        operation_id=f"palpo.admin{name}",
        method="GET",
        paths=(PREFIX + path,),
        auth=Auth.NONE,
        limit=Limit.INTERACTIVE,
        params=params,
        response=Page,
    )


def form(path: str, name: str, params: Any = NoParams) -> Endpoint[Any, Any, Page]:
    """What a form of a page is sent to."""
    return Endpoint(
        operation_id=f"palpo.admin{name}",
        method="POST",
        paths=(PREFIX + path,),
        auth=Auth.NONE,
        limit=Limit.INTERACTIVE,
        params=params,
        response=Page,
    )


overview = page("/", "Overview")
check_up = page("/check-up", "CheckUp")
run_check_up = form("/check-up", "RunCheckUp")
users = page("/users", "Users", UsersParams)
create_user = form("/users", "CreateUser")
user = page("/users/{name}", "User", UserParams)
change_user = form("/users/{name}", "ChangeUser", UserParams)
rooms = page("/rooms", "Rooms", ListParams)
room = page("/rooms/{name}", "Room", RoomParams)
change_room = form("/rooms/{name}", "ChangeRoom", RoomParams)
delete_room = form("/rooms/{name}/delete", "DeleteRoom", RoomParams)
purge_room = form("/rooms/{name}/purge", "PurgeRoom", RoomParams)
reports = page("/reports", "Reports", ReportsParams)
delete_report = form("/reports/{name}/delete", "DeleteReport", NameParams)
tokens = page("/registration-tokens", "RegistrationTokens", ListParams)
create_token = form("/registration-tokens", "CreateRegistrationToken")
delete_token = form("/registration-tokens/{name}/delete", "DeleteRegistrationToken", NameParams)
servers = page("/servers", "Servers", ListParams)
server = page("/servers/{name}", "Server", NameParams)
check_server = form("/servers/{name}/check", "CheckServer", NameParams)
retry_server = form("/servers/{name}/retry", "RetryServer", NameParams)
media = page("/media", "Media", MediaParams)
preview_media = page("/media/{server_name}/{media_id}/preview", "PreviewMedia", FileParams)
clean_media = form("/media", "CleanMedia")
change_media = form("/media/{server_name}/{media_id}/{verb}", "ChangeMedia", MediaChangeParams)
appservices = page("/appservices", "Appservices")
configuration = page("/configuration", "Configuration", ListParams)
change_setting = form("/configuration", "ChangeSetting", ListParams)
reload = form("/configuration/reload", "ReloadConfiguration")
backups = page("/backups", "Backups")
begin_backup = form("/backups", "BeginBackup")
verify_backup = form("/backups/{name}/verify", "VerifyBackup", NameParams)
plan_restore = form("/backups/{name}/restore", "PlanRestore", NameParams)
give_up_restore = form("/backups/keep", "GiveUpRestore")
restart = form("/restart", "Restart")
jobs = page("/jobs", "Jobs")
job = page("/jobs/{name}", "Job", NameParams)
cancel_job = form("/jobs/{name}/cancel", "CancelJob", NameParams)
audit_log = page("/audit-log", "AuditLog", AuditParams)
sessions = page("/sessions", "Sessions")
end_session = form("/sessions/{name}/end", "EndSession", NameParams)
logs = page("/logs", "Logs", LogParams)
slow_requests = page("/slow-requests", "SlowRequests", ListParams)
conformance = page("/conformance", "Conformance")
