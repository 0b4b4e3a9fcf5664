"""Messages to devices here, from users of other servers."""

from __future__ import annotations

from typing import Any

from palpo.core.identifiers import ServerName
from palpo.services.encryption.to_device import ToDevice
from palpo.services.federation.receiving.received_edus import check_origin, content_as
from palpo.wire.federation.device_edus import DIRECT_TO_DEVICE, DirectToDevice


class IncomingToDevice:
    """Takes m.direct_to_device."""

    edu_type = DIRECT_TO_DEVICE

    def __init__(self, to_device: ToDevice) -> None:
        self._to_device = to_device

    async def receive(self, origin: ServerName, content: dict[str, Any]) -> None:
        """Take one, once."""
        message = content_as(content, DirectToDevice)
        check_origin(message.sender, origin)
        await self._to_device.receive(
            origin, message.sender, message.type, message.message_id, message.messages
        )
