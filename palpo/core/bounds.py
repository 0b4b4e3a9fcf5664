"""What is beyond all that is counted here."""

from typing import Final

TOP: Final = 2**62
"""Above every position of the stream, and every time in milliseconds."""
