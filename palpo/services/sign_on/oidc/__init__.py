"""Signing on by OpenID Connect, or by OAuth 2.0 where a provider says who the user is."""
