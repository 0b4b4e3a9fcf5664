"""Tables of ours that are filled with what a Synapse has of its users."""

from palpo.db.tables import (
    account_data,
    accounts,
    devices,
    external_ids,
    key_backups,
    keys,
    profiles,
    push,
    remote_device_lists,
    server_notices,
    thread_subscriptions,
    threepids,
)
from palpo.storage.synapse.user_rows import OurRows

USERS = OurRows(accounts.users, "user_id")
DEACTIVATIONS = OurRows(accounts.deactivations, "user_id")
WORDS = OurRows(profiles.user_words, "word", "user_id")
PROFILES = OurRows(profiles.profiles, "user_id", placed="position")
RATE_LIMITS = OurRows(accounts.rate_limit_overrides, "user_id")
THREEPIDS = OurRows(threepids.threepids, "medium", "address")
BINDINGS = OurRows(threepids.threepid_bindings, "binding_hash")
EXTERNAL_IDS = OurRows(external_ids.external_ids, "auth_provider", "external_id")

DEVICES = OurRows(accounts.devices, "user_id", "device_id")
TOKENS = OurRows(accounts.access_tokens, "token_hash")
DEHYDRATED_DEVICES = OurRows(devices.dehydrated_devices, "user_id")
TO_DEVICE = OurRows(devices.to_device_messages, "position", placed="position")
DEVICE_LIST_CHANGES = OurRows(devices.device_list_changes, "user_id", "observer", placed="position")
TOLD_DEVICES = OurRows(remote_device_lists.told_devices, "user_id", "device_id")
REMOTE_DEVICE_LISTS = OurRows(remote_device_lists.remote_device_lists, "user_id", placed="position")
REMOTE_DEVICES = OurRows(remote_device_lists.remote_device_keys, "user_id", "device_id")

DEVICE_KEYS = OurRows(keys.device_keys, "user_id", "device_id")
ONE_TIME_KEYS = OurRows(keys.one_time_keys, "user_id", "device_id", "name", placed="position")
FALLBACK_KEYS = OurRows(keys.fallback_keys, "user_id", "device_id", "algorithm")
CROSS_SIGNING_KEYS = OurRows(keys.cross_signing_keys, "user_id", "usage")
CROSS_SIGNING_RESETS = OurRows(accounts.cross_signing_resets, "user_id")
SIGNATURES = OurRows(keys.key_signatures, "signature_hash", user="signer_user_id")
BACKUPS = OurRows(key_backups.key_backups, "version", placed="version")

ACCOUNT_DATA = OurRows(account_data.account_data, "user_id", "room_id", "type", placed="position")
PUSH_RULES = OurRows(push.push_rules, "user_id", placed="position")
PUSHERS = OurRows(push.pushers, "pusher_hash", placed="position")
FILTERS = OurRows(account_data.filters, "user_id", "filter_id", placed="position")
THREAD_SUBSCRIPTIONS = OurRows(
    thread_subscriptions.thread_subscriptions, "user_id", "room_id", "root_id", placed="position"
)
NOTICE_ROOMS = OurRows(server_notices.server_notice_rooms, "user_id")
