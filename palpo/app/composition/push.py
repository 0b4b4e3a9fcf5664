"""Telling users, and application services, of what happens."""

from __future__ import annotations

from functools import cached_property

from palpo.app.composition.media import MediaServices
from palpo.services.push.notifications import Notifications
from palpo.services.push.push_delivery import PushDelivery
from palpo.services.push.push_emails import EmailDigests
from palpo.services.push.push_gateways import PushGateways
from palpo.services.push.push_judge import PushJudge
from palpo.services.push.pushers import Pushers


class PushServices(MediaServices):
    """Telling users, and application services, of what happens."""

    @cached_property
    def pushers(self) -> Pushers:
        return Pushers(self.db, self.clock, self.config.push, self.quotas, email=self.mailer is not None)

    @cached_property
    def push_judge(self) -> PushJudge:
        return PushJudge(
            self.events,
            self.push_rooms,
            self.push_rules,
            self.account_data,
            self.invite_permissions,
            self.thread_followers,
            self.caches,
        )

    @cached_property
    def push_delivery(self) -> PushDelivery:
        return PushDelivery(
            self.db,
            self.clock,
            self.wakeups,
            self.events,
            self.threads,
            self.unread,
            PushGateways(self.http, self.room_heads),
            EmailDigests(self.mailer, self.room_heads, server_name=self.server_name),
            digest_interval_ms=self.config.email.digest_interval_seconds * 1000,
        )

    @cached_property
    def notifications(self) -> Notifications:
        return Notifications(self.db, self.wakeups, self.events, self.push_judge, self.unread, self.threads)
