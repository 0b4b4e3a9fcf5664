"""What suspended and locked users may call, held to what the spec says.

The spec says so in prose (client-server API, "Account suspension" and "Account locking"): here it is in
short, with the operations that it is about.
"""

from __future__ import annotations

from palpo.wire.registry import endpoints

ALLOWED = {
    "Log in and create additional sessions": {"login", "generateLoginToken"},
    "See and receive messages, particularly via the /sync and /messages endpoints": {
        "sync",
        "getRoomEvents",
        "getEventContext",
        "getOneRoomEvent",
        "msc4186.sync",
    },
    "Verify other devices and write associated cross-signing data": {
        "sendToDevice",
        "uploadCrossSigningKeys",
        "uploadCrossSigningSignatures",
        "uploadKeys",
        "queryKeys",
        "claimKeys",
    },
    "Populate their key backup": {
        "postRoomKeysVersion",
        "putRoomKeys",
        "putRoomKeysByRoomId",
        "putRoomKeyBySessionId",
    },
    "Leave rooms and reject invites": {"leaveRoom", "forgetRoom"},
    "Redact their own events": {"redactEvent", "sendMessage"},
    "Log out or delete any device of theirs, including the current session": {
        "logout",
        "logout_all",
        "deleteDevice",
        "deleteDevices",
    },
    "Deactivate their account": {"deactivateAccount"},
    "Change or add admin contacts, but not remove": {"add3PID", "post3PIDs"},
}
FORBIDDEN = {
    "Joining or knocking on rooms and accepting invites": {"joinRoom", "joinRoomById", "knockRoom"},
    "Changing profile data": {"setProfileField", "deleteProfileField"},
    "Change or add admin contacts, but not remove": {"delete3pidFromAccount"},
    "Sending messages": {"createRoom", "setRoomStateWithKey", "upgradeRoom", "msc4140.scheduleDelayedEvent"},
    "Everything else that others notice: the spec leaves it open": {
        "inviteUser",
        "kick",
        "ban",
        "unban",
        "setRoomAlias",
        "deleteRoomAlias",
        "setRoomVisibilityOnDirectory",
    },
}


def test_what_suspended_users_may_call() -> None:
    refused = {endpoint.operation_id for endpoint in endpoints() if not endpoint.while_suspended}
    known = {operation_id for endpoint in endpoints() for operation_id in endpoint.operation_ids}
    allowed = set().union(*ALLOWED.values())
    assert allowed - known == set()
    assert refused & allowed == set()
    assert refused == set().union(*FORBIDDEN.values())


def test_locked_users_may_only_log_out() -> None:
    assert {endpoint.operation_id for endpoint in endpoints() if endpoint.while_locked} == {
        "logout",
        "logout_all",
    }
