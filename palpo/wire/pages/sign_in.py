"""The pages on which users sign in with their browser, and out again."""

from palpo.wire.endpoint import Auth, Endpoint, Limit, NoBody, NoParams, Page, Params

LOGIN_PATH = "/_palpo/account/login"
LOGOUT_PATH = "/_palpo/account/logout"


class SignInParams(Params, frozen=True):
    """``next`` is the path of this server to go on to; ``again`` asks who is signed in to prove it anew."""

    next: str = ""
    again: bool = False
    login_hint: str = ""
    action: str = ""
    """``register`` for who has no account yet."""


get_sign_in: Endpoint[SignInParams, NoBody, Page] = Endpoint(
    operation_id="palpo.getSignIn",
    method="GET",
    paths=(LOGIN_PATH,),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=SignInParams,
    response=Page,
)

sign_in: Endpoint[SignInParams, NoBody, Page] = Endpoint(
    operation_id="palpo.signIn",
    method="POST",
    paths=(LOGIN_PATH,),
    auth=Auth.NONE,
    limit=Limit.LOGIN,
    params=SignInParams,
    response=Page,
)

sign_out: Endpoint[NoParams, NoBody, Page] = Endpoint(
    operation_id="palpo.signOut",
    method="POST",
    paths=(LOGOUT_PATH,),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    response=Page,
)
