"""The pages on which users look after their accounts (spec: "Account management"; MSC4191)."""

from palpo.wire.client.oauth import ACCOUNT_PATH

SESSIONS_PATH = f"{ACCOUNT_PATH}sessions"
SESSION_PATH = f"{ACCOUNT_PATH}session"
PASSWORD_PATH = f"{ACCOUNT_PATH}password"
CROSS_SIGNING_PATH = f"{ACCOUNT_PATH}cross-signing"
DEACTIVATION_PATH = f"{ACCOUNT_PATH}deactivate"

PATHS = {
    "org.matrix.profile": ACCOUNT_PATH,
    "org.matrix.devices_list": SESSIONS_PATH,
    "org.matrix.sessions_list": SESSIONS_PATH,
    "org.matrix.device_view": SESSION_PATH,
    "org.matrix.session_view": SESSION_PATH,
    "org.matrix.device_delete": SESSION_PATH,
    "org.matrix.session_end": SESSION_PATH,
    "org.matrix.account_deactivate": DEACTIVATION_PATH,
    "org.matrix.cross_signing_reset": CROSS_SIGNING_PATH,
}
"""Where each action is done; those with ``session`` in their names are what MSC4191 once had."""
ACTIONS = tuple(PATHS)
