"""The pages on which users look after their accounts (spec: "Account management"; MSC4191)."""

from palpo.wire.client.oauth import ACCOUNT_PATH
from palpo.wire.endpoint import Auth, Endpoint, Limit, NoBody, NoParams, Page, Params

SESSIONS_PATH = f"{ACCOUNT_PATH}sessions"
SESSION_PATH = f"{ACCOUNT_PATH}session"
PASSWORD_PATH = f"{ACCOUNT_PATH}password"
CROSS_SIGNING_PATH = f"{ACCOUNT_PATH}cross-signing"
EMAILS_PATH = f"{ACCOUNT_PATH}emails"
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
"""Where each action is done."""
OLD = frozenset({"org.matrix.sessions_list", "org.matrix.session_view", "org.matrix.session_end"})
"""What MSC4191 once called some of them: they are understood, and not announced, since the spec has none."""
ACTIONS = tuple(name for name in PATHS if name not in OLD)


class AccountParams(Params, frozen=True):
    """``action`` is what the user wants, as a client says it."""

    action: str = ""
    device_id: str = ""


class DeviceParams(Params, frozen=True):
    """One of the user's devices."""

    device_id: str = ""


class EmailParams(Params, frozen=True):
    """Where the link leads that was sent to a new address: both show that it is one's own."""

    sid: str = ""
    client_secret: str = ""


def _page(operation_id: str, path: str) -> Endpoint[NoParams, NoBody, Page]:
    return Endpoint(
        operation_id=f"palpo.{operation_id}",
        method="GET",
        paths=(path,),
        auth=Auth.NONE,
        limit=Limit.INTERACTIVE,
        response=Page,
    )


def _form(operation_id: str, path: str) -> Endpoint[NoParams, NoBody, Page]:
    return Endpoint(
        operation_id=f"palpo.{operation_id}",
        method="POST",
        paths=(path,),
        auth=Auth.NONE,
        limit=Limit.ATTEMPT,
        response=Page,
    )


get_account: Endpoint[AccountParams, NoBody, Page] = Endpoint(
    operation_id="palpo.getAccount",
    method="GET",
    paths=(ACCOUNT_PATH, ACCOUNT_PATH.rstrip("/")),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=AccountParams,
    response=Page,
)
change_profile = _form("changeProfile", ACCOUNT_PATH)
get_sessions = _page("getSessions", SESSIONS_PATH)
end_sessions = _form("endSessions", SESSIONS_PATH)
get_session: Endpoint[DeviceParams, NoBody, Page] = Endpoint(
    operation_id="palpo.getSession",
    method="GET",
    paths=(SESSION_PATH,),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=DeviceParams,
    response=Page,
)
change_session = _form("changeSession", SESSION_PATH)
get_password = _page("getPassword", PASSWORD_PATH)
change_password = _form("changePassword", PASSWORD_PATH)
get_cross_signing = _page("getCrossSigning", CROSS_SIGNING_PATH)
reset_cross_signing = _form("resetCrossSigning", CROSS_SIGNING_PATH)
get_deactivation = _page("getDeactivation", DEACTIVATION_PATH)
deactivate = _form("deactivateAccount", DEACTIVATION_PATH)
get_emails: Endpoint[EmailParams, NoBody, Page] = Endpoint(
    operation_id="palpo.getEmails",
    method="GET",
    paths=(EMAILS_PATH,),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=EmailParams,
    response=Page,
)
change_emails: Endpoint[EmailParams, NoBody, Page] = Endpoint(
    operation_id="palpo.changeEmails",
    method="POST",
    paths=(EMAILS_PATH,),
    auth=Auth.NONE,
    limit=Limit.THIRD_PARTY,
    params=EmailParams,
    response=Page,
)
