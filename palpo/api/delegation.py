"""What is not served where Matrix Authentication Service signs users in: it does that, or nobody.

Clients of before OAuth 2.0 are sent there by the reverse proxy: ``/login``, ``/logout``, ``/refresh``.
"""

from __future__ import annotations

from typing import Any

from palpo.config.model import Config
from palpo.wire.endpoint import Auth, Endpoint

NOT_SERVED = frozenset(
    {
        # Signing in and out, in ways of before.
        "checkUsernameAvailability",
        "generateLoginToken",
        "logout",
        "logout_all",
        "refresh",
        "registrationTokenValidity",
        # What only user-interactive auth would allow.
        "add3PID",
        "bind3PID",
        "changePassword",
        "deactivateAccount",
        "delete3pidFromAccount",
        "post3PIDs",
        "requestTokenTo3PIDEmail",
        "requestTokenTo3PIDMSISDN",
        "requestTokenToRegisterEmail",
        "requestTokenToRegisterMSISDN",
        "requestTokenToResetPasswordEmail",
        "requestTokenToResetPasswordMSISDN",
        "unbind3pidFromAccount",
        "redirectToIdP",
        "redirectToSSO",
        "palpo.getLoginFallback",
        # What users do on pages, there.
        "palpo.changeEmails",
        "palpo.changePassword",
        "palpo.changeSession",
        "palpo.deactivateAccount",
        "palpo.endSessions",
        "palpo.getCrossSigning",
        "palpo.getDeactivation",
        "palpo.getEmails",
        "palpo.getNewPassword",
        "palpo.getPassword",
        "palpo.getRecovery",
        "palpo.getRegistration",
        "palpo.getSession",
        "palpo.getSessions",
        "palpo.recover",
        "palpo.register",
        "palpo.resetCrossSigning",
        "palpo.setNewPassword",
        # What administrators do there (Synapse's documentation says the same).
        "synapse.getRegistrationNonce",
        "synapse.loginAsUser",
        "synapse.registerBySharedSecret",
        "synapse.resetPassword",
    }
)


def is_served(endpoint: Endpoint[Any, Any, Any], config: Config) -> bool:
    """Whether an endpoint is there, by who signs users in."""
    if not config.delegated:
        return endpoint.auth is not Auth.DELEGATE
    return endpoint.operation_id not in NOT_SERVED
