"""What a Synapse has of its users."""

from palpo.db.synapse import accounts, devices, keys, personal
from palpo.storage.synapse.user_rows import TheirRows

USERS = TheirRows(accounts.users, "name")
ERASED = TheirRows(accounts.erased_users)
PENDING_DEACTIVATIONS = TheirRows(accounts.users_pending_deactivation)
PROFILES = TheirRows(accounts.profiles, "full_user_id")
RATE_LIMITS = TheirRows(accounts.ratelimit_override)
THREEPIDS = TheirRows(accounts.user_threepids)
BINDINGS = TheirRows(accounts.user_threepid_id_server)
EXTERNAL_IDS = TheirRows(accounts.user_external_ids)

DEVICES = TheirRows(devices.devices, order=["device_id"])
ACCESS_TOKENS = TheirRows(devices.access_tokens, order=["id"])
OTHERS_TOKENS = TheirRows(devices.access_tokens, "puppets_user_id", order=["id"])
REFRESH_TOKENS = TheirRows(devices.refresh_tokens, order=["id"])
DEHYDRATED_DEVICES = TheirRows(devices.dehydrated_devices)
DEVICE_LIST_CHANGES = TheirRows(devices.device_lists_stream)
REMOTE_DEVICE_LISTS = TheirRows(devices.device_lists_remote_extremeties)
LOST_DEVICE_LISTS = TheirRows(devices.device_lists_remote_resync)
REMOTE_DEVICES = TheirRows(devices.device_lists_remote_cache)

DEVICE_KEYS = TheirRows(keys.device_keys)
ONE_TIME_KEYS = TheirRows(keys.one_time_keys, order=["ts_added_ms", "key_id"])
FALLBACK_KEYS = TheirRows(keys.fallback_keys)
CROSS_SIGNING_KEYS = TheirRows(keys.cross_signing_keys, order=["stream_id"])
SIGNATURES = TheirRows(keys.cross_signing_signatures)
BACKUPS = TheirRows(keys.room_keys_versions, order=["version"])

ACCOUNT_DATA = TheirRows(personal.account_data, order=["stream_id"])
ROOM_ACCOUNT_DATA = TheirRows(personal.room_account_data, order=["stream_id"])
TAGS = TheirRows(personal.room_tags)
PUSH_RULES = TheirRows(personal.push_rules, "user_name", order=["priority"])
PUSH_RULES_ENABLED = TheirRows(personal.push_rules_enable, "user_name")
PUSHERS = TheirRows(personal.pushers, "user_name", order=["ts"])
FILTERS = TheirRows(personal.user_filters, "full_user_id", order=["filter_id"])
THREAD_SUBSCRIPTIONS = TheirRows(personal.thread_subscriptions, order=["stream_id"])
