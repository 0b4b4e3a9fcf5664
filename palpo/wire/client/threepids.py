"""Third-party identifiers of accounts (spec: client-server API, "Adding Account Administrative Contact
Information")."""

from __future__ import annotations

from typing import Any, Literal

from palpo.wire.endpoint import (
    Auth,
    B,
    Body,
    Endpoint,
    Limit,
    NoBody,
    NoParams,
    Page,
    Params,
    Response,
    client,
    draft,
)

PATH = "/account/3pid"


class ThirdPartyIdentifier(Response, frozen=True):
    """An email address or telephone number of an account. Times are milliseconds since the epoch."""

    medium: str
    address: str
    validated_at: int
    added_at: int


class ThirdPartyIdentifiers(Response, frozen=True):
    """Those of one account."""

    threepids: list[ThirdPartyIdentifier]


class ThreePidCredentials(Body, frozen=True):
    """A validation, by an identity server: the body of /account/3pid/bind."""

    client_secret: str
    id_server: str
    id_access_token: str
    sid: str


class Credentials(Body, frozen=True):
    """Body of /account/3pid."""

    three_pid_creds: ThreePidCredentials


class Add(Body, frozen=True):
    """Body of /account/3pid/add."""

    client_secret: str
    sid: str
    auth: dict[str, Any] | None = None


class Remove(Body, frozen=True):
    """Body of /account/3pid/delete and /unbind."""

    medium: Literal["email", "msisdn"]
    address: str
    id_server: str | None = None


class Removed(Response, frozen=True):
    """Whether an identity server has unbound the identifier."""

    id_server_unbind_result: str


class TokenRequest(Body, frozen=True, kw_only=True):
    """Body that asks for a message with a token."""

    client_secret: str
    send_attempt: int
    next_link: str | None = None
    id_server: str | None = None
    id_access_token: str | None = None


class EmailToken(TokenRequest, frozen=True, kw_only=True):
    """Body that asks for an email."""

    email: str


class MsisdnToken(TokenRequest, frozen=True, kw_only=True):
    """Body that asks for a text message."""

    country: str
    phone_number: str


class TokenSent(Response, frozen=True):
    """The session in which the token counts."""

    sid: str
    submit_url: str | None = None


class SubmitParams(Params, frozen=True):
    """Query of the page that a message's link leads to."""

    sid: str
    token: str


class Submitted(Response, frozen=True):
    """Nothing more is to be done where there is no URL to submit a token to."""

    submit_url: str | None = None


get_account_3pids: Endpoint[NoParams, NoBody, ThirdPartyIdentifiers] = Endpoint(
    operation_id="getAccount3PIDs",
    method="GET",
    paths=client(PATH),
    response=ThirdPartyIdentifiers,
)

post_3pids: Endpoint[NoParams, Credentials, Submitted] = Endpoint(
    operation_id="post3PIDs",
    method="POST",
    paths=client(PATH),
    limit=Limit.THIRD_PARTY,
    body=Credentials,
    response=Submitted,
    deprecated=True,
)

add_3pid: Endpoint[NoParams, Add, None] = Endpoint(
    operation_id="add3PID",
    method="POST",
    paths=client(f"{PATH}/add"),
    limit=Limit.THIRD_PARTY,
    body=Add,
)

bind_3pid: Endpoint[NoParams, ThreePidCredentials, None] = Endpoint(
    operation_id="bind3PID",
    method="POST",
    paths=client(f"{PATH}/bind"),
    limit=Limit.THIRD_PARTY,
    body=ThreePidCredentials,
)

delete_3pid: Endpoint[NoParams, Remove, Removed] = Endpoint(
    operation_id="delete3pidFromAccount",
    method="POST",
    paths=client(f"{PATH}/delete"),
    while_suspended=False,
    limit=Limit.THIRD_PARTY,
    body=Remove,
    response=Removed,
)

unbind_3pid: Endpoint[NoParams, Remove, Removed] = Endpoint(
    operation_id="unbind3pidFromAccount",
    method="POST",
    paths=client(f"{PATH}/unbind"),
    limit=Limit.THIRD_PARTY,
    body=Remove,
    response=Removed,
)


def _request_token(operation_id: str, path: str, body: type[B]) -> Endpoint[NoParams, B, TokenSent]:
    return Endpoint(
        operation_id=operation_id,
        method="POST",
        paths=client(f"{path}/requestToken"),
        auth=Auth.NONE,
        limit=Limit.THIRD_PARTY,
        body=body,
        response=TokenSent,
    )


email_to_register = _request_token("requestTokenToRegisterEmail", "/register/email", EmailToken)
email_to_reset_password = _request_token(
    "requestTokenToResetPasswordEmail", "/account/password/email", EmailToken
)
email_to_add = _request_token("requestTokenTo3PIDEmail", f"{PATH}/email", EmailToken)
msisdn_to_register = _request_token("requestTokenToRegisterMSISDN", "/register/msisdn", MsisdnToken)
msisdn_to_reset_password = _request_token(
    "requestTokenToResetPasswordMSISDN", "/account/password/msisdn", MsisdnToken
)
msisdn_to_add = _request_token("requestTokenTo3PIDMSISDN", f"{PATH}/msisdn", MsisdnToken)

(SUBMIT_PATH,) = draft("/email/submit_token", "palpo")

get_submit_page: Endpoint[SubmitParams, NoBody, Page] = Endpoint(
    operation_id="palpo.getEmailSubmitPage",
    method="GET",
    paths=(SUBMIT_PATH,),
    auth=Auth.NONE,
    params=SubmitParams,
    response=Page,
)

submit_email_token: Endpoint[SubmitParams, NoBody, Page] = Endpoint(
    operation_id="palpo.submitEmailToken",
    method="POST",
    paths=(SUBMIT_PATH,),
    auth=Auth.NONE,
    limit=Limit.LOGIN,
    params=SubmitParams,
    response=Page,
    max_body=4096,
)
