"""Settings that can be used, and yet are not what was wanted."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from palpo.config.model import Config
from palpo.core.server_names import is_ip_literal, split_server_name
from palpo.services.administration.doctor.checks import Check, ok, problem, warning

PROXY = "proxy headers"
POLICY = "address policy"
METADATA = ip_network("169.254.169.254/32")
"""Where clouds tell a machine its own secrets."""


def look_at_settings(config: Config) -> Iterator[Check]:
    """What is found."""
    yield _name(config)
    yield from _proxies(config)
    yield from _policy(config)
    if config.registration.open and config.registration.email != "required":
        text = "anybody may register, without giving an email address"
        yield warning("registration", text, "use registration tokens, a captcha, or email = required")
    if not config.rate_limits.enabled:
        yield problem("rate limits", "there are none", "set rate_limits.enabled")
    if not config.quotas.enabled:
        yield warning("quotas", "users may store any amount", "set quotas.enabled")


def _name(config: Config) -> Check:
    host = split_server_name(config.server_name).host
    if is_ip_literal(host) or "." not in host:
        text = f"{config.server_name} is no domain that others could find"
        return warning("server name", text, "for a server that others use, begin anew with a domain of yours")
    return ok("server name", f"{config.server_name}")


def _proxies(config: Config) -> Iterator[Check]:
    trusted = [ip_network(text.strip(), strict=False) for text in config.http.trusted_proxies]
    for network in trusted:
        if network.prefixlen == 0:
            text = f"the addresses that anybody claims to have are believed: {network}"
            yield problem(PROXY, text, "name only your proxies in http.trusted_proxies")
            return
    local = [item for item in config.listeners if item.is_local and item.unix_path is None]
    if len(local) == len(config.listeners) and not trusted:
        text = (
            "the server can only be reached through a proxy on this machine, whose headers are not believed"
        )
        advice = 'all clients seem to have one address: http.trusted_proxies = ["127.0.0.1", "::1"]'
        yield warning(PROXY, text, advice)
    elif trusted:
        shown = ", ".join(map(str, trusted))
        yield ok(PROXY, f"X-Forwarded-For is believed of {shown}, and of nobody else")
    else:
        yield ok(PROXY, "clients connect by themselves, and X-Forwarded-For is believed of nobody")


def _policy(config: Config) -> Iterator[Check]:
    wide = False
    for text in config.network.allow:
        network = ip_network(text, strict=False)
        if network.prefixlen == 0:
            wide = True
            found = "users and other servers can have any address connected to, also of your own network"
            yield problem(POLICY, found, f"take {text} out of network.allow")
        elif network.version == 4 and METADATA.subnet_of(network):  # type: ignore[arg-type]
            wide = True
            found = f"{text} has the address where clouds tell a machine its secrets"
            yield problem(POLICY, found, "put 169.254.0.0/16 into network.deny")
        elif network.is_loopback:
            wide = True
            found = f"users and other servers can have this machine's own services connected to: {text}"
            yield warning(POLICY, found, f"take {text} out of network.allow")
    if not wide:
        beside = f", and {', '.join(config.network.allow)}" if config.network.allow else ""
        yield ok(POLICY, f"others can have public addresses connected to{beside}")
