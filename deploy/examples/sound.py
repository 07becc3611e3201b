# SPDX-License-Identifier: Apache-2.0

"""Audio for recogniser.py: WAV files, multipart forms, and resampling.

A module for recogniser.py.
"""

import array
import math
import struct
import sys
from email.message import Message
from operator import mul
from typing import NamedTuple

from service import Rejection

# The sample rate of the acoustic model.
RATE = 16000
PCM, ALAW, MULAW, EXTENSIBLE = 1, 6, 7, 0xFFFE


class Sound(NamedTuple):
    """One channel of 16-bit samples, in native byte order."""

    samples: array.array
    rate: int

    @property
    def seconds(self):
        return len(self.samples) / self.rate


def from_mulaw(byte):
    """ITU-T G.711: sign, three bits of exponent, four of mantissa, all inverted."""
    byte = ~byte
    value = (((byte & 0x0F) << 3) + 0x84 << (byte >> 4 & 7)) - 0x84
    return -value if byte & 0x80 else value


def from_alaw(byte):
    """ITU-T G.711: as mu-law, with every other bit inverted."""
    byte ^= 0x55
    exponent, value = byte >> 4 & 7, (byte & 0x0F) * 16 + 8
    if exponent:
        value = value + 0x100 << exponent - 1
    return value if byte & 0x80 else -value


LAWS = {MULAW: [from_mulaw(byte) for byte in range(256)], ALAW: [from_alaw(byte) for byte in range(256)]}


def from_pcm(data):
    """Reads little-endian samples."""
    if len(data) % 2:
        raise Rejection(400, "invalid_audio", "16-bit PCM must have an even number of bytes.")
    samples = array.array("h", data)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def read_wav(data):
    """Reads a WAV file. A streamed file has too large a length in its header; its data ends with the file."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise Rejection(400, "invalid_audio", "The file isn't a WAV file.")
    form, offset = None, 12
    while offset + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, offset)
        chunk = data[offset + 8 : offset + 8 + size]
        if name == b"fmt " and len(chunk) >= 16:
            form = chunk
        elif name == b"data":
            if form is None:
                break
            return read_samples(form, chunk)
        # Chunks begin at even offsets.
        offset += 8 + size + size % 2
    raise Rejection(400, "invalid_audio", "The WAV file has no format or no data.")


def read_samples(form, data):
    codec, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", form)
    if codec == EXTENSIBLE and len(form) >= 26:
        codec = struct.unpack_from("<H", form, 24)[0]
    if not 8000 <= rate <= 48000 or channels not in (1, 2):
        raise Rejection(400, "invalid_audio", "The rate must be 8000 to 48000 Hz, and there must be one or two channels.")
    if codec == PCM and bits == 16:
        samples = from_pcm(data)
    elif codec in LAWS and bits == 8:
        samples = array.array("h", map(LAWS[codec].__getitem__, data))
    else:
        raise Rejection(400, "invalid_audio", "The codec must be 16-bit PCM, mu-law or A-law.")
    if channels == 2:
        samples = array.array("h", ((left + right) // 2 for left, right in zip(samples[::2], samples[1::2])))
    return Sound(samples, rate)


def read_form(content_type, body):
    """Returns the fields of a multipart/form-data body, by name (RFC 7578)."""
    boundary = parameter(content_type, "content-type", "boundary")
    if not content_type.lower().startswith("multipart/form-data") or not boundary:
        raise Rejection(415, "invalid_form", "The body must be multipart/form-data.")
    # The first boundary may be at the beginning of the body, without a line end before it.
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if not parts or not parts[-1].startswith(b"--"):
        raise Rejection(400, "invalid_form", "The form is incomplete.")
    fields = {}
    for part in parts[:-1]:
        head, found, content = part.partition(b"\r\n\r\n")
        name = None
        for line in head.decode(errors="replace").split("\r\n"):
            header, _, value = line.partition(":")
            if header.lower() == "content-disposition":
                name = parameter(value.strip(), "content-disposition", "name")
        if not found or not name:
            raise Rejection(400, "invalid_form", "A field of the form has no name.")
        fields[name] = content
    return fields


def parameter(value, header, name):
    message = Message()
    message[header] = value.replace("\r", " ").replace("\n", " ")
    found = message.get_param(name, header=header)
    return found if isinstance(found, str) else None


class Resampler:
    """Resamples to 16 kHz with a windowed sinc, which removes frequencies above 8 kHz instead of aliasing them."""

    # Zero crossings of the sinc on each side: more are sharper, and slower.
    CROSSINGS = 12

    def __init__(self, rate):
        divisor = math.gcd(rate, RATE)
        self.up, self.down = RATE // divisor, rate // divisor
        self.cutoff = 0.95 * min(1.0, RATE / rate)
        self.reach = int(self.CROSSINGS / self.cutoff) + 1
        self.filters = {}
        # Samples not consumed yet, after silence that precedes the first; and the position of the next output sample
        # in steps of 1/up sample.
        self.samples, self.position = array.array("h", bytes(2 * self.reach)), 0

    def resample(self, samples):
        """Returns the resampled part of the audio that is complete. It lags behind by one or two milliseconds."""
        if self.up == self.down:
            return samples.tobytes()
        self.samples.extend(samples)
        made = array.array("h")
        while True:
            index, phase = divmod(self.position, self.up)
            window = self.samples[index : index + 2 * self.reach]
            if len(window) < 2 * self.reach:
                break
            value = round(sum(map(mul, self.filter(phase), window)))
            made.append(max(-32768, min(32767, value)))
            self.position += self.down
        used = min(self.position // self.up, len(self.samples))
        del self.samples[:used]
        self.position -= used * self.up
        return made.tobytes()

    def filter(self, phase):
        """Returns the weights of the samples around a point `phase` of `up` steps after one of them."""
        if phase not in self.filters:
            distances = [step - phase / self.up for step in range(1 - self.reach, 1 + self.reach)]
            self.filters[phase] = [self.weight(distance) for distance in distances]
        return self.filters[phase]

    def weight(self, distance):
        """Returns the sinc at this distance, under a Hann window."""
        if abs(distance) >= self.reach:
            return 0.0
        angle = math.pi * distance * self.cutoff
        sinc = math.sin(angle) / angle if angle else 1.0
        return self.cutoff * sinc * (0.5 + 0.5 * math.cos(math.pi * distance / self.reach))
