"""Constructs every service: who is made of what.

    base ◁ accounts ◁ rooms ◁ user_data ◁ media ◁ push ◁ syncing ◁ Composition

Each service is a property, constructed when it is first asked for, of services of its own module or of
those before it. What services tell each other the other way round is in ``Composition._connect``.
"""

from __future__ import annotations

from palpo.api.services import Services
from palpo.app.composition.syncing import SyncServices
from palpo.config.model import RegistrationConfig
from palpo.net.http_client import HttpClient
from palpo.services.accounts import registration_stages as stages
from palpo.services.accounts import user_interactive_auth as uia
from palpo.services.accounts.registration_tokens import RegistrationTokens
from palpo.services.accounts.threepids import ThirdPartyIds
from palpo.services.rooms.room_succession import carry_over


class Composition(SyncServices):
    """Every service by its name."""

    def services(self) -> Services:
        """All of them, connected."""
        self._connect()
        return Services(
            config=self.config,
            clock=self.clock,
            db=self.db,
            wakeups=self.wakeups,
            background=self.background,
            caches=self.caches,
            quotas=self.quotas,
            sessions=self.sessions,
            waiting=self.waiting,
            appservices=self.appservices,
            appservice_client=self.appservice_client,
            appservice_queries=self.appservice_queries,
            device_removal=self.device_removal,
            logins=self.logins,
            registration=self.registration,
            registration_tokens=self.registration_tokens,
            mailer=self.mailer,
            threepids=self.threepids,
            identity_servers=self.identity_servers,
            third_party_invites=self.third_party_invites,
            interactive_auth=self.interactive_auth,
            accounts=self.accounts,
            server_keys=self.server_keys,
            events=self.events,
            room_heads=self.room_heads,
            recent_events=self.recent_events,
            room_writer=self.room_writer,
            room_access=self.room_access,
            room_creation=self.room_creation,
            room_directory=self.room_directory,
            room_state=self.room_state,
            room_succession=self.room_succession,
            invite_permissions=self.invite_permissions,
            room_summaries=self.room_summaries,
            room_upgrades=self.room_upgrades,
            reports=self.reports,
            aliases=self.aliases,
            memberships=self.memberships,
            client_events=self.client_events,
            sending=self.sending,
            server_notices=self.server_notices,
            delayed_events=self.delayed_events,
            thread_subscriptions=self.thread_subscriptions,
            visibility=self.visibility,
            timeline=self.timeline,
            old_sync=self.old_sync,
            relations=self.relations,
            event_relationships=self.event_relationships,
            search_index=self.search_index,
            search=self.search,
            search_context=self.search_context,
            last_seen=self.last_seen,
            devices=self.devices,
            dehydrated_devices=self.dehydrated_devices,
            device_lists=self.device_lists,
            keys=self.keys,
            cross_signing=self.cross_signing,
            key_backups=self.key_backups,
            to_device=self.to_device,
            push_rules=self.push_rules,
            profiles=self.profiles,
            pushers=self.pushers,
            notifications=self.notifications,
            push_judge=self.push_judge,
            push_delivery=self.push_delivery,
            user_directory=self.user_directory,
            openid=self.openid,
            http=self.http,
            images=self.images,
            media=self.media,
            media_cleanup=self.media_cleanup,
            health=self.health,
            url_previews=self.url_previews,
            account_data=self.account_data,
            filters=self.filters,
            receipts=self.receipts,
            typing=self.typing,
            presence=self.presence,
            unread=self.unread,
            sync_filters=self.sync_filters,
            sync=self.sync,
            sliding_sync=self.sliding_sync,
        )

    def _connect(self) -> None:
        """Tell services whom to tell."""
        self.device_removal.also(self.appservices.forget_devices)
        self.interactive_auth.add_stage(uia.PASSWORD, uia.PasswordStage(self.logins, self.threepids))
        self.room_succession.on_upgrade += carry_over(self.account_data, self.push_rules)
        self.device_removal.also(self.pushers.forget_devices)
        self.device_removal.also(self.account_data.forget_devices)
        self.profiles.on_change(self.memberships.refresh_profile)
        self.profiles.on_change(self.presence.profile_changed)
        self.accounts.on_deactivation(self.profiles.user_gone)
        self.accounts.on_deactivation(self.threepids.user_gone)
        self.accounts.on_deactivation(self.pushers.user_gone)
        self.accounts.on_deactivation(self.delayed_events.user_gone)
        self.accounts.on_deactivation(self.account_data.user_gone)
        self.accounts.on_deactivation(self.key_backups.user_gone)
        self.accounts.on_deactivation(self.memberships.user_gone)
        self.device_removal.also(self.connections.forget_devices)
        _add_registration_stages(
            self.interactive_auth,
            self.config.registration,
            self.registration_tokens,
            self.threepids,
            self.http,
        )
        if self.registrations:
            self.aliases.offer_unknown_with(self.appservice_queries.offer_alias)
            self.profiles.offer_unknown_with(self.appservice_queries.offer_user)
            self.memberships.offer_unknown_with(self.appservice_queries.offer_user)
        self.memberships.check_leaves_with(self.server_notices.check_rejection)


def _add_registration_stages(
    interactive_auth: uia.UserInteractiveAuth,
    config: RegistrationConfig,
    tokens: RegistrationTokens,
    threepids: ThirdPartyIds,
    http: HttpClient,
) -> None:
    """Offer every stage that registration may ask for."""
    interactive_auth.add_stage(uia.REGISTRATION_TOKEN, stages.TokenStage(tokens))
    if threepids.enabled:
        interactive_auth.add_stage(stages.EMAIL, stages.EmailStage(threepids))
    if config.terms:
        interactive_auth.add_stage(stages.TERMS, stages.TermsStage(config.terms))
    if config.captcha.public_key:
        interactive_auth.add_stage(stages.RECAPTCHA, stages.RecaptchaStage(config.captcha, http))
