"""The pages on which accounts are made, and passwords forgotten."""

from palpo.wire.client.oauth import ACCOUNT_PATH
from palpo.wire.endpoint import Auth, Endpoint, Limit, NoBody, Page, Params

REGISTRATION_PATH = f"{ACCOUNT_PATH}register"
RECOVERY_PATH = f"{ACCOUNT_PATH}recover"
NEW_PASSWORD_PATH = f"{RECOVERY_PATH}/password"


class ProofParams(Params, frozen=True):
    """``next`` is the path of this server to go on to, ``token`` a registration token that a link had in it;
    the others show that an email address is one's own.
    """

    next: str = ""
    token: str = ""
    sid: str = ""
    client_secret: str = ""


get_registration: Endpoint[ProofParams, NoBody, Page] = Endpoint(
    operation_id="palpo.getRegistration",
    method="GET",
    paths=(REGISTRATION_PATH,),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=ProofParams,
    response=Page,
)

register: Endpoint[ProofParams, NoBody, Page] = Endpoint(
    operation_id="palpo.register",
    method="POST",
    paths=(REGISTRATION_PATH,),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=ProofParams,
    response=Page,
)

get_recovery: Endpoint[ProofParams, NoBody, Page] = Endpoint(
    operation_id="palpo.getRecovery",
    method="GET",
    paths=(RECOVERY_PATH,),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=ProofParams,
    response=Page,
)

recover: Endpoint[ProofParams, NoBody, Page] = Endpoint(
    operation_id="palpo.recover",
    method="POST",
    paths=(RECOVERY_PATH,),
    auth=Auth.NONE,
    limit=Limit.THIRD_PARTY,
    params=ProofParams,
    response=Page,
)

get_new_password: Endpoint[ProofParams, NoBody, Page] = Endpoint(
    operation_id="palpo.getNewPassword",
    method="GET",
    paths=(NEW_PASSWORD_PATH,),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=ProofParams,
    response=Page,
)

set_new_password: Endpoint[ProofParams, NoBody, Page] = Endpoint(
    operation_id="palpo.setNewPassword",
    method="POST",
    paths=(NEW_PASSWORD_PATH,),
    auth=Auth.NONE,
    limit=Limit.ATTEMPT,
    params=ProofParams,
    response=Page,
)
