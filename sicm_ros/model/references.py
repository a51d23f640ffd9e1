# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What each side keeps of a stream, so that one packet may refer to an earlier one.

    vehicle  SentPairs:     the last pairs, and which of them every decoder says that it has
    server   ReceivedPairs: the last pairs, and what to tell the encoder of them

    sent, received = SentPairs(), ReceivedPairs()
    packet = model.encode(pair, sequence=n, references=sent)
    result = model.decode(packet, references=received)
    sent.acknowledge(received.acknowledgement())            # now and then, by whatever way; lost ones cost bytes alone

An encoder refers to nothing that wasn't acknowledged, so a lost packet costs its own result and no other.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from sicm_ros.bitstream.packet import OLDEST_REFERENCE
from sicm_ros.entropy.temporal import CodedSymbols
from sicm_ros.geometry import StereoCalibration

KEPT = OLDEST_REFERENCE + 1  # pairs
MOST_DECODERS = 16  # of one stream; more than these are served without references
FORGOTTEN = 50  # pairs after which a decoder that says nothing is gone
HELD_OFF = 10  # pairs without reference, after a decoder missed one
MODULUS = 1 << 16  # of numbers in packets


@dataclass(frozen=True)
class Acknowledgement:
    """What a decoder has of a stream.

    Attributes:
        decoder: drawn at random, 32 bits.
        pairs: (number modulo 65536, identity) of the last ones.
        missing: it was sent a packet whose reference it doesn't have.
    """

    decoder: int
    pairs: Sequence[tuple[int, int]]
    missing: bool = False


@dataclass(frozen=True)
class KeptPair:
    """A pair that another one may refer to.

    Attributes:
        number: modulo 65536.
        identity: `reference_identity` of its packet.
        coded: its symbols.
        calibration: of its images.
        age: how many pairs it lies back, where that is known; else 0.
    """

    number: int
    identity: int
    coded: CodedSymbols
    calibration: StereoCalibration
    age: int = 0


class ReceivedPairs:
    """The last pairs that a decoder has of one stream; a few hundred kilobytes.

    Args:
        changed: called when there is something new to tell the encoder, in the thread that decodes.

    Attributes:
        decoder: drawn at random: who acknowledges.
    """

    def __init__(self, changed: Callable[[], None] | None = None) -> None:
        self.decoder = random.getrandbits(32)
        self._changed = changed
        self._kept: deque[KeptPair] = deque(maxlen=KEPT)
        self._missing = False

    def keep(self, sequence: int, coded: CodedSymbols, identity: int, calibration: StereoCalibration) -> None:
        """Put a pair among them."""
        self._kept.append(KeptPair(sequence % MODULUS, identity, coded.kept(), calibration))
        if self._changed is not None:
            self._changed()

    def find(self, number: int, identity: int) -> KeptPair | None:
        """Return the pair of a number and an identity; None, which is remembered, if it isn't here."""
        for pair in self._kept:
            if (pair.number, pair.identity) == (number, identity):
                return pair
        self._missing = True
        if self._changed is not None:
            self._changed()
        return None

    def acknowledgement(self) -> Acknowledgement:
        """Return what to tell the encoder now."""
        missing, self._missing = self._missing, False
        return Acknowledgement(self.decoder, [(pair.number, pair.identity) for pair in self._kept], missing)


@dataclass
class _Listener:
    """A decoder as the encoder knows it: what it has, and for how many pairs it has said nothing."""

    has: set[tuple[int, int]] = field(default_factory=set)
    silent: int = 0


class SentPairs:
    """The last pairs that an encoder has sent, and which of them all decoders have.

    Whatever it is told, and by whomever, it stays small; what is wrong costs bytes, or results until a decoder says
    that it misses a reference. Any thread may call it.

    Attributes:
        listeners: how many receive the stream, as far as anybody knows: unless so many acknowledge, someone may be
            among them who records, or doesn't answer, and packets stand by themselves. None where nobody knows.
    """

    def __init__(self, listeners: int | None = None) -> None:
        self.listeners = listeners
        self._kept: deque[KeptPair] = deque(maxlen=KEPT)
        self._decoders: dict[int, _Listener] = {}
        self._held_off = 0
        self._newest: int | None = None
        self._lock = threading.Lock()

    def keep(self, sequence: int, coded: CodedSymbols, identity: int, calibration: StereoCalibration) -> None:
        """Put a pair among them, in place of one of the same number."""
        number = sequence % MODULUS
        with self._lock:
            others = [pair for pair in self._kept if pair.number != number]
            self._kept = deque([*others, KeptPair(number, identity, coded.kept(), calibration)], maxlen=KEPT)

    def acknowledge(self, said: Acknowledgement) -> None:
        """Take in what a decoder says that it has."""
        with self._lock:
            if said.missing:
                self._held_off = HELD_OFF
            if said.decoder not in self._decoders and len(self._decoders) >= MOST_DECODERS:
                self._held_off = max(self._held_off, FORGOTTEN)
                return
            sent = {(pair.number, pair.identity) for pair in self._kept}
            self._decoders[said.decoder] = _Listener(sent.intersection(list(said.pairs)[:KEPT]))

    def choose(self, sequence: int) -> KeptPair | None:
        """Return the youngest pair that everyone has, for the pair of this number; None to send it by itself."""
        number = sequence % MODULUS
        with self._lock:
            if number != self._newest:
                self._newest = number
                self._grow_older()
            if self._held_off or not self._decoders or len(self._decoders) < (self.listeners or 0):
                return None
            best: KeptPair | None = None
            for pair in self._kept:
                age = (number - pair.number) % MODULUS
                known = all((pair.number, pair.identity) in decoder.has for decoder in self._decoders.values())
                if known and 1 <= age <= OLDEST_REFERENCE and (best is None or age < best.age):
                    best = replace(pair, age=age)
            return best

    def _grow_older(self) -> None:
        self._held_off = max(self._held_off - 1, 0)
        for decoder in self._decoders.values():
            decoder.silent += 1
        self._decoders = {name: d for name, d in self._decoders.items() if d.silent <= FORGOTTEN}
