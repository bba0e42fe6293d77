"""Tokens: a schedule as a word that can be copied, and that says when it is of no use any more.

``<scenario>:<base32>``. The payload: version (1 byte), hash of the hook set (2), the parameters
(mode, threads, size, dtype, seed), bits of a thread's number (1), number of decisions, the
decisions, packed; CRC-16 of all that (2). Numbers without a width are LEB128.
"""

from __future__ import annotations

import json
from base64 import b32decode, b32encode
from binascii import crc_hqx
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from stress.core.scenario import Params, Scenario
from stress.explore.hookset import difference, hook_set, hook_set_hash

__all__ = ["Recorded", "TokenError", "decode", "encode", "fitting", "read", "write"]

VERSION = 1
LONGEST = 400  # characters of a word that is still worth copying


class TokenError(ValueError):
    """A token that cannot be used: damaged, or of another engine or scenario."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A schedule that can be run again. Immutable. ``decisions``: the numbers of threads."""

    scenario: str
    params: Params
    decisions: bytes


def encode(recorded: Recorded) -> str:
    """The token of ``recorded``."""
    params, decisions = recorded.params, recorded.decisions
    bits = max(1, max(decisions, default=0).bit_length())
    packed = 0
    for decision in decisions:
        packed = packed << bits | decision
    payload = bytes([VERSION]) + hook_set_hash().to_bytes(2, "big")
    payload += word(params.mode) + word(params.dtype)
    payload += b"".join(map(varint, (params.threads, params.size, params.seed)))
    payload += bytes([bits]) + varint(len(decisions))
    payload += packed.to_bytes((bits * len(decisions) + 7) // 8, "big")
    payload += crc_hqx(payload, 0).to_bytes(2, "big")
    return f"{recorded.scenario}:{b32encode(payload).decode().rstrip('=').lower()}"


def decode(token: str) -> Recorded:
    """What ``token`` says; raises ``TokenError`` where it is damaged, or of another hook set."""
    scenario, colon, text = token.strip().rpartition(":")
    if not colon:
        raise TokenError(f"{token!r} is no token: they look like scenario:letters")
    try:
        payload = b32decode(text.upper() + "=" * (-len(text) % 8))
    except ValueError:  # letters that are none of base32, or not of ASCII
        raise TokenError("the token is damaged: not base32") from None
    if b32encode(payload).decode().rstrip("=").lower() != text.lower():
        raise TokenError("the token is damaged: it does not end as it should")
    if len(payload) < 5 or crc_hqx(payload[:-2], 0) != int.from_bytes(payload[-2:], "big"):
        raise TokenError("the token is damaged: a part is missing, or a letter is wrong")
    if payload[0] != VERSION:
        raise TokenError(f"the token has version {payload[0]}, and this is version {VERSION}")
    made = int.from_bytes(payload[1:3], "big")
    if made != hook_set_hash():
        raise TokenError(
            f"the token was made with other hook points (set {made:04x}, now "
            f"{hook_set_hash():04x}): its decisions would be taken at other places. Explore again"
        )
    try:
        return unpack(scenario, iter(payload[3:-2]))
    except (StopIteration, RuntimeError, ValueError):
        raise TokenError("the token is no schedule, though nothing of it is missing") from None


def unpack(scenario: str, data: Iterator[int]) -> Recorded:
    """What follows the head of a payload; raises where no schedule was packed like that."""
    mode, dtype = unword(data), unword(data)
    threads, size, seed = unvarint(data), unvarint(data), unvarint(data)
    bits, count, rest = next(data), unvarint(data), bytes(data)
    if not 1 <= bits <= 8 or len(rest) != (bits * count + 7) // 8:
        raise ValueError("another number of decisions")
    packed = int.from_bytes(rest, "big")
    mask = (1 << bits) - 1
    decisions = bytes(packed >> bits * (count - 1 - i) & mask for i in range(count))
    return Recorded(scenario, Params(mode, threads, size, dtype, seed, True), decisions)


def varint(value: int) -> bytes:
    """LEB128.

    >>> varint(300).hex()
    'ac02'
    """
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def unvarint(data: Iterator[int]) -> int:
    """The number at the beginning of ``data``."""
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return value


def word(text: str) -> bytes:
    """A short text, its length first."""
    return varint(len(text)) + text.encode("ascii")


def unword(data: Iterator[int]) -> str:
    """The text at the beginning of ``data``."""
    return bytes(islice(data, unvarint(data))).decode("ascii")


def fitting(recorded: Recorded, scenario: Scenario) -> None:
    """Raise ``TokenError`` unless ``scenario`` is still explored with these parameters."""
    params = recorded.params
    if params.mode not in scenario.modes:
        raise TokenError(
            f"{scenario.name} has no mode {params.mode!r}: {', '.join(scenario.modes)}"
        )
    asked = Params(params.mode, params.threads, seed=params.seed, dtype=params.dtype)
    offered = scenario.explore(asked)
    if not offered:
        raise TokenError(f"{scenario.name} is not explored any more in mode {params.mode!r}")
    if params not in offered:
        differ = [
            f"{name}={value} (now {now})"
            for name, value in asdict(params).items()
            if (now := sorted({str(asdict(other)[name]) for other in offered})) != [str(value)]
        ]
        raise TokenError(
            f"{scenario.name} is not explored with the token's parameters any more: "
            f"{'; '.join(differ)}. Explore again"
        )


def write(recorded: Recorded, folder: Path) -> str:
    """The token of ``recorded``; where it would be too long, the file in ``folder`` that has it.

    Where no file can be written, a long token is better than none.
    """
    token = encode(recorded)
    if len(token) <= LONGEST:
        return token
    check = sha256(token.encode()).hexdigest()[:12]  # of all of it: sizes may decide alike
    path = folder / f"{recorded.scenario}-{recorded.params.mode}-{check}.json"
    document = {"token": token, "hook_set": hook_set()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    except OSError:
        return token
    return str(path)


def read(text: str) -> Recorded:
    """The schedule of a token, or of the file that ``text`` names; raises ``TokenError``."""
    if not text.endswith(".json"):
        return decode(text)
    try:
        document: dict[str, Any] = json.loads(Path(text).read_text(encoding="utf-8"))
        token, places = str(document["token"]), tuple(document["hook_set"])
    except OSError as error:
        raise TokenError(f"cannot read {text}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError):
        raise TokenError(f"{text} is no file of a schedule") from None
    try:
        return decode(token)
    except TokenError as error:
        if places != hook_set():
            raise TokenError(f"{error} ({difference(places)})") from None
        raise
