"""What suspended and locked users may call, held to what the spec says.

The spec says so in prose: here are its lists, in its words, with the operations that each line is about
(client-server API, "Account suspension", added in v1.13; "Account locking", added in v1.12). What depends on
more than the endpoint, such as whose event is redacted, is in ``tests/api/client/test_suspension.py``.
"""

from __future__ import annotations

from palpo.wire.registry import endpoints

ALLOWED = {
    "Log in and create additional sessions (which are also suspended)": {
        "login",
        "generateLoginToken",
        "refresh",
    },
    "See and receive messages, particularly through /sync and /messages": {
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
    "Leave rooms and reject invites": {"leaveRoom"},
    "Redact their own events": {"redactEvent", "sendMessage"},
    "Log out or delete any device of theirs, including the current session": {
        "logout",
        "logout_all",
        "deleteDevice",
        "deleteDevices",
    },
    "Deactivate their account, potentially with a time delay": {"deactivateAccount"},
    "Change or add admin contacts, but not remove": {"add3PID", "post3PIDs"},
}
"""What servers SHOULD permit."""
FORBIDDEN = {
    "Change or add admin contacts, but not remove": {"delete3pidFromAccount"},
    "Joining or knocking on rooms": {"joinRoom", "joinRoomById", "knockRoom"},
    "Accepting or sending invites": {"joinRoom", "joinRoomById", "inviteUser"},
    "Sending messages to rooms": {"msc4140.scheduleDelayedEvent"},
    "Changing profile data (display name and avatar, primarily)": {"setProfileField", "deleteProfileField"},
}
"""What is recommended to be forbidden, where the whole endpoint is."""
LEFT_OPEN = {
    "createRoom",
    "upgradeRoom",
    "setRoomStateWithKey",
    "kick",
    "ban",
    "unban",
    "setRoomAlias",
    "deleteRoomAlias",
    "setRoomVisibilityOnDirectory",
}
"""What the spec leaves to servers, and this one forbids: others would notice it."""


def test_what_suspended_users_may_call() -> None:
    refused = {endpoint.operation_id for endpoint in endpoints() if not endpoint.while_suspended}
    known = {operation_id for endpoint in endpoints() for operation_id in endpoint.operation_ids}
    allowed = set().union(*ALLOWED.values())
    assert allowed - known == set()
    assert refused & allowed == set()
    wanted = LEFT_OPEN.union(*FORBIDDEN.values())
    assert wanted - refused == set()
    # What the spec does not have, each declaration says for itself.
    assert {name for name in refused - wanted if "." not in name} == set()


def test_locked_users_may_only_log_out() -> None:
    assert {endpoint.operation_id for endpoint in endpoints() if endpoint.while_locked} == {
        "logout",
        "logout_all",
    }
