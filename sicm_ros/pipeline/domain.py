# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A ROS domain to oneself: runs on one machine don't hear each other, and no user's nodes hear them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

from sicm_ros.errors import SicmError

# People choose from 0 to 101, whose ports lie below those that Linux hands out (32768 to 60999). The ports of these
# domains lie above those and are as safe (docs.ros.org, "The ROS_DOMAIN_ID"). 232 has half of its ports only.
DOMAINS = range(215, 232)

# Ports of a domain (DDSI-RTPS 9.6.1): 250 each, the first for discovery, two for each participant from the tenth on.
_FIRST, _EACH = 7400, 250
_DISCOVERY, _FIRST_PARTICIPANT = 0, 10
_RESERVED = 5  # of no use to DDS: who holds it has the domain, until it ends, however it ends


class DomainError(SicmError):
    """Every domain is in use: end another run on this machine."""


@contextmanager
def own_domain() -> Iterator[dict[str, str]]:
    """Reserve a domain for this process and its children, while the block lasts.

    Yields:
        the environment variables that say so: nobody else's topics, and this machine alone.

    Raises:
        DomainError: none is free.
    """
    with closing(_reserve()) as reservation:
        domain = (reservation.getsockname()[1] - _FIRST) // _EACH
        yield {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


def _reserve() -> socket.socket:
    start = os.getpid() % len(DOMAINS)  # not where the last run was, whose traces may still be about
    for domain in (*DOMAINS[start:], *DOMAINS[:start]):
        if (reservation := _bind(domain, _RESERVED)) is None:
            continue
        if all(_free(domain, offset) for offset in (_DISCOVERY, _FIRST_PARTICIPANT)):
            return reservation
        reservation.close()
    raise DomainError(
        f"ROS domains {DOMAINS[0]} to {DOMAINS[-1]} are all in use here; end another run of sicm, or of its tests"
    )


def _free(domain: int, offset: int) -> bool:
    """Return whether nobody has this port of a domain, such as nodes that know of no reservations."""
    if (held := _bind(domain, offset)) is None:
        return False
    held.close()
    return True


def _bind(domain: int, offset: int) -> socket.socket | None:
    """Return a socket that has this port of a domain; None if somebody else has it."""
    held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        held.bind(("127.0.0.1", _FIRST + _EACH * domain + offset))
    except OSError:
        held.close()
        return None
    return held
