"""Failures in OAuth's own words (RFC 6749, 4.1.2.1 and 5.2; RFC 7591, 3.2.2; RFC 8628, 3.5)."""

from __future__ import annotations

from typing import Any

from palpo.core.errors import MatrixError

INVALID_REQUEST = "invalid_request"
INVALID_CLIENT = "invalid_client"
INVALID_GRANT = "invalid_grant"
INVALID_SCOPE = "invalid_scope"
INVALID_REDIRECT_URI = "invalid_redirect_uri"
INVALID_CLIENT_METADATA = "invalid_client_metadata"
UNAUTHORIZED_CLIENT = "unauthorized_client"
UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
UNSUPPORTED_RESPONSE_TYPE = "unsupported_response_type"
ACCESS_DENIED = "access_denied"
SERVER_ERROR = "server_error"
AUTHORIZATION_PENDING = "authorization_pending"
SLOW_DOWN = "slow_down"
EXPIRED_TOKEN = "expired_token"
LOGIN_REQUIRED = "login_required"
CONSENT_REQUIRED = "consent_required"


class OAuthError(MatrixError):
    """A failure with a ``code``, one of the above, and words for whoever wrote the client."""

    def __init__(self, code: str, description: str, *, status: int = 400) -> None:
        super().__init__(description, status=status)
        self.code = code

    def body(self) -> dict[str, Any]:
        """The JSON object that a response carries."""
        return {"error": self.code, "error_description": self.message}
