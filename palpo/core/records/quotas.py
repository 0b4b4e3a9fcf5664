"""What is counted of what users have."""

from __future__ import annotations

from enum import Enum


class Kind(Enum):
    """What is counted. The value is its name in ``[quotas]``, in the database and in the metrics."""

    ACCOUNT_DATA = "account_data"
    ACCOUNT_DATA_BYTES = "account_data_bytes"
    ALIASES = "aliases"
    BACKUP_BYTES = "backup_bytes"
    BACKUP_KEYS = "backup_keys"
    BACKUP_VERSIONS = "backup_versions"
    DEVICES = "devices"
    FILTERS = "filters"
    KEY_BYTES = "key_bytes"
    MEDIA = "media"
    MEDIA_BYTES = "media_bytes"
    PREVIEW_BYTES = "preview_bytes"
    PUSHERS = "pushers"
    REMOTE_MEDIA_BYTES = "remote_media_bytes"
    REPORTS = "reports"
    ROOMS = "rooms"
    THREAD_SUBSCRIPTIONS = "thread_subscriptions"
    THUMBNAIL_BYTES = "thumbnail_bytes"
    TO_DEVICE = "to_device"
    TO_DEVICE_BYTES = "to_device_bytes"
