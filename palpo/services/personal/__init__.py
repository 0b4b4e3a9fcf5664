"""What users keep, and tell each other beside events."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.services.personal.account_data import AccountData
from palpo.services.personal.filters import Filters
from palpo.services.personal.invite_permissions import InvitePermissions
from palpo.services.personal.presence import PresenceTracker
from palpo.services.personal.push_rules import PushRules
from palpo.services.personal.receipts import Receipts
from palpo.services.personal.thread_subscriptions import ThreadSubscriptions
from palpo.services.personal.typing import Typing


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalServices:
    """Those that other areas use, and the API."""

    account_data: AccountData
    filters: Filters
    invite_permissions: InvitePermissions
    presence: PresenceTracker
    push_rules: PushRules
    receipts: Receipts
    thread_subscriptions: ThreadSubscriptions
    typing: Typing
