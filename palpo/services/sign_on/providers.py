"""The providers of single sign-on, whatever they speak."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from palpo.config.sections.sign_on import Provider as ProviderConfig
from palpo.core.errors import NotFound
from palpo.services.sign_on.flows import Flow, Flows, Purpose
from palpo.services.sign_on.identities import ClaimMapping, Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """Where a browser goes to sign on, and the cookie that it takes along."""

    url: str
    cookie: str


class Provider(ABC):
    """Somebody at whom users sign on, in their browser."""

    cross_site = False
    """Whether the browser comes back by a POST from the provider's page."""

    def __init__(self, config: ProviderConfig) -> None:
        self.config = config
        self.mapping = ClaimMapping(config)

    @property
    def id(self) -> str:
        """Its name in URLs, and in the links of accounts."""
        return self.config.id

    @abstractmethod
    async def ask(self, flow: Flow) -> tuple[Flow, str]:
        """The flow with what is to be known again, and the URL to send the browser to.

        Raises Unavailable where the provider does not say what is needed.
        """

    @abstractmethod
    async def finish(self, flow: Flow, answer: Mapping[str, str]) -> Identity:
        """Who signed on, by what the browser has brought back.

        Raises Forbidden where that is no proof, or the user has refused, and Unavailable.
        """

    async def end_of_session(self, subject: str, then: str) -> str:
        """Where a browser signs out there, to come back to ``then``, or empty; raises Unavailable."""
        return ""


class Providers:
    """All of them, in the order of the configuration."""

    def __init__(self, providers: Iterable[Provider], flows: Flows) -> None:
        self._providers = {item.id: item for item in providers}
        self._flows = flows

    def __iter__(self) -> Iterator[Provider]:
        return iter(self._providers.values())

    def __len__(self) -> int:
        return len(self._providers)

    def get(self, provider_id: str) -> Provider:
        """Raises NotFound."""
        found = self._providers.get(provider_id)
        if found is None:
            raise NotFound("There is no such provider to sign on at")
        return found

    async def begin(self, provider_id: str, purpose: Purpose) -> Beginning:
        """Send a browser to a provider; raises NotFound and Unavailable."""
        provider = self.get(provider_id)
        flow, url = await provider.ask(self._flows.begin(provider.id, purpose))
        return Beginning(url=url, cookie=self._flows.cookie(flow, cross_site=provider.cross_site))
