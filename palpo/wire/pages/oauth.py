"""The pages on which users allow clients what they ask for."""

from palpo.wire.client.oauth import AUTHORIZE_PATH, LINK_PATH
from palpo.wire.endpoint import Auth, Endpoint, Limit, NoBody, NoParams, Page, Params


class LinkParams(Params, frozen=True):
    """``user_code`` is what a device shows."""

    user_code: str = ""


get_authorization: Endpoint[NoParams, NoBody, Page] = Endpoint(
    operation_id="palpo.getAuthorization",
    method="GET",
    paths=(AUTHORIZE_PATH,),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    response=Page,
)
"""The query is a request as OAuth has it: what is wrong with it is told as OAuth tells it."""

decide_authorization: Endpoint[NoParams, NoBody, Page] = Endpoint(
    operation_id="palpo.decideAuthorization",
    method="POST",
    paths=(AUTHORIZE_PATH,),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    response=Page,
)

get_device_link: Endpoint[LinkParams, NoBody, Page] = Endpoint(
    operation_id="palpo.getDeviceLink",
    method="GET",
    paths=(LINK_PATH,),
    auth=Auth.NONE,
    limit=Limit.ATTEMPT,
    params=LinkParams,
    response=Page,
)

decide_device_link: Endpoint[NoParams, NoBody, Page] = Endpoint(
    operation_id="palpo.decideDeviceLink",
    method="POST",
    paths=(LINK_PATH,),
    auth=Auth.NONE,
    limit=Limit.ATTEMPT,
    response=Page,
)
