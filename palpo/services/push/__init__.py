"""What is unread, and who is told of it."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.services.push.notifications import Notifications
from palpo.services.push.push_delivery import PushDelivery
from palpo.services.push.push_judge import PushJudge
from palpo.services.push.pushers import Pushers
from palpo.services.push.unread import Unread


@dataclass(frozen=True, slots=True, kw_only=True)
class PushServices:
    """Those that other areas use, and the API."""

    notifications: Notifications
    push_delivery: PushDelivery
    push_judge: PushJudge
    pushers: Pushers
    unread: Unread
