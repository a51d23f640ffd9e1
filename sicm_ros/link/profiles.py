# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Links by name: the vehicle's uplink, as one vehicle among others sees it.

Figures are those that tools for testing networks ship as presets, rounded, where there are any:

* Mozilla Firefox, devtools/client/shared/components/throttling/profiles.js: Wi-Fi 15 Mbit/s up and 2 ms, 4G/LTE
  3 Mbit/s up and 20 ms, good 2G 150 kbit/s up and 150 ms;
* Google Lighthouse, docs/throttling.md: "slow 4G", the worst quarter of 4G connections, 750 kbit/s up and 150 ms of
  round trip;
* Loadero, network conditions: 4G 0.2 % loss and 45 ms with 5 to 15 ms of jitter; 3G 0.5 %, 250 ms and 50 ms.

The rest is reasoning, said beside it. One way takes half of a round trip. Radios repeat what is damaged, so that an
application sees delay and, while a cell or an access point changes, a gap; bit errors that reach it are rare.
"""

from __future__ import annotations

from sicm_ros.errors import InputError
from sicm_ros.link.emulator import LinkProfile

PROFILES: dict[str, LinkProfile] = {
    # Nothing happens: to see what the emulation itself costs.
    "perfect": LinkProfile(),
    # An access point of a yard. Roaming to the next one is a gap of some 5 packets (half a second at 10 Hz), here once
    # in 500 packets; contention makes jitter.
    "wifi": LinkProfile(
        bandwidth_kbit_s=15_000,
        queue_ms=250,
        delay_ms=2,
        jitter_ms=2,
        loss=0.002,
        burst_start=0.002,
        burst_packets=5,
        burst_loss=0.9,
    ),
    # A good cell. Handover takes under 100 ms: a packet at 10 Hz.
    "lte": LinkProfile(
        bandwidth_kbit_s=3_000,
        queue_ms=500,
        delay_ms=22,
        jitter_ms=5,
        loss=0.002,
        burst_start=0.001,
        burst_packets=2,
        burst_loss=0.9,
    ),
    # The edge of a cell, where the bandwidth comes and goes (a quarter of it for 3 of 15 seconds), repetitions make
    # long jitter, and a failed handover costs a second.
    "lte_poor": LinkProfile(
        bandwidth_kbit_s=750,
        queue_ms=1_000,
        delay_ms=75,
        jitter_ms=25,
        loss=0.02,
        burst_start=0.01,
        burst_packets=6,
        burst_loss=0.7,
        cycle=((12.0, 1.0), (3.0, 0.25)),
    ),
    # A mid-band cell: half of LTE's delay, several times its uplink.
    "5g": LinkProfile(
        bandwidth_kbit_s=20_000,
        queue_ms=250,
        delay_ms=10,
        jitter_ms=2,
        loss=0.001,
        burst_start=0.001,
        burst_packets=2,
        burst_loss=0.9,
    ),
    # Everything at once, more of it than any one link has: 2G's bandwidth, outages, and a tunnel that reorders,
    # repeats and damages.
    "bad_day": LinkProfile(
        bandwidth_kbit_s=150,
        queue_ms=1_500,
        delay_ms=150,
        jitter_ms=60,
        loss=0.05,
        burst_start=0.02,
        burst_packets=8,
        burst_loss=0.8,
        bit_error=5e-6,
        reorder=0.03,
        reorder_ms=250,
        duplicate=0.02,
        cycle=((8.0, 1.0), (3.0, 0.25), (6.0, 0.7), (1.0, 0.0)),
    ),
}


def profile(name: str) -> LinkProfile:
    """Return a link by its name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in PROFILES:
        raise InputError(f"no link {name!r}; expected one of {', '.join(PROFILES)}")
    return PROFILES[name]
