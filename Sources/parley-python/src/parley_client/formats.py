# SPDX-License-Identifier: Apache-2.0
"""Audio formats, and the duration of chunks."""

from __future__ import annotations

from dataclasses import dataclass

_EXACT = {"pcm16": 2, "mulaw": 1, "alaw": 1}
_CONTAINER_BYTES_PER_SECOND = 32_000


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """The format of a stream. `codec`: pcm16, mulaw, alaw, opus, ogg_opus, webm_opus or mp4_aac."""

    codec: str = "pcm16"
    rate: int = 16_000
    channels: int = 1

    def fields(self) -> dict[str, object]:
        """Returns the object of the wire."""
        return {"codec": self.codec, "rate": self.rate, "channels": self.channels}

    def seconds(self, chunk: bytes) -> float:
        """Returns the duration of a chunk: exact for samples and Opus packets, by size for containers."""
        size = _EXACT.get(self.codec)
        if size is not None:
            return len(chunk) / (size * self.rate * self.channels)
        if self.codec == "opus":
            return opus_seconds(chunk)
        return len(chunk) / _CONTAINER_BYTES_PER_SECOND


def opus_seconds(packet: bytes) -> float:
    """Returns the duration of an Opus packet from its header (RFC 6716 §3.1)."""
    if not packet:
        return 0
    config, kind = packet[0] >> 3, packet[0] & 3
    frame: float
    if config < 12:
        frame = (10, 20, 40, 60)[config & 3]
    elif config < 16:
        frame = (10, 20)[config & 1]
    else:
        frame = (2.5, 5, 10, 20)[config & 3]
    count = (1, 2, 2, packet[1] & 63 if len(packet) > 1 else 0)[kind]
    return frame * count / 1000
