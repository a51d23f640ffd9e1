# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Do the same packets decode to the same symbols everywhere? By every engine, thread count and instruction set.

Each setting decodes in a process of its own, since instruction sets are chosen when libraries are loaded.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sicm_ros.errors import SicmError

if TYPE_CHECKING:
    from rich.table import Table

# oneDNN's (OpenVINO, PyTorch), PyTorch's own and NumPy's kernels, each held to an instruction set.
INSTRUCTIONS = {
    "all": {},
    "AVX2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "NPY_DISABLE_CPU_FEATURES": "AVX512F",
        "OPENBLAS_CORETYPE": "Haswell",
    },
    "SSE4.1": {
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "ATEN_CPU_CAPABILITY": "default",
        "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX2 FMA3",
        "OPENBLAS_CORETYPE": "Prescott",
    },
}


@dataclass(frozen=True)
class DecoderSetting:
    """What decodes: engine, threads, instruction set."""

    engine: str
    threads: int
    instructions: str


@dataclass(frozen=True)
class Decoding:
    """What a setting made of the packets.

    Attributes:
        same: packets whose symbols are those that the first setting decoded; None where the engine refused to compute.
        packets: of them all.
        computed: what really ran, in words.
    """

    setting: DecoderSetting
    same: int | None
    packets: int
    computed: str

    @property
    def right(self) -> bool:
        """Whether nothing was decoded to other symbols."""
        return self.same in (None, self.packets)


def settings(engines: Sequence[str], threads: Sequence[int]) -> list[DecoderSetting]:
    """Return every one of them with every other and every instruction set."""
    return [DecoderSetting(e, t, i) for e in engines for t in threads for i in INSTRUCTIONS]


def compare(
    model: str,
    packets: Sequence[bytes],
    chosen: Sequence[DecoderSetting],
    progress: Callable[[Sequence[DecoderSetting]], Iterable[DecoderSetting]] = iter,
) -> list[Decoding]:
    """Decode packets by each setting.

    Raises:
        SicmError: a setting can't decode; the message says why.
    """
    found, expected = [], None
    for setting in progress(chosen):
        told = _decode(model, packets, setting)
        expected = expected or told["digests"]
        same = None
        if told["digests"] is not None and expected is not None:
            same = sum(a == b for a, b in zip(expected, told["digests"], strict=True))
        found.append(Decoding(setting, same, len(packets), told["computed"]))
    return found


def _decode(model: str, packets: Sequence[bytes], setting: DecoderSetting) -> dict:
    threads = str(setting.threads)
    environment = os.environ | INSTRUCTIONS[setting.instructions] | {"OMP_NUM_THREADS": threads}
    job = {"model": model, "engine": setting.engine, "packets": [base64.b64encode(p).decode() for p in packets]}
    done = subprocess.run(
        [sys.executable, "-m", "sicm_ros.benchmark.symbols"],
        input=json.dumps(job),
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode and "VerificationError" in done.stderr:
        return {"digests": None, "computed": "refused: wrong or impossible here, as verified at the start"}
    if done.returncode:
        raise SicmError(f"{setting}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'ended'}")
    return json.loads(done.stdout.splitlines()[-1])


def table(found: Sequence[Decoding]) -> Table:
    """Return one row per setting, for a terminal."""
    from rich.table import Table

    shown = Table(title="packets whose symbols are those of the first row", title_justify="left")
    for title in ("engine", "threads", "instructions", "same", "computed by"):
        shown.add_column(title)
    for one in found:
        setting = one.setting
        same = "-" if one.same is None else f"{one.same} of {one.packets}"
        shown.add_row(setting.engine, str(setting.threads), setting.instructions, same, one.computed)
    return shown


def _main() -> None:
    import sicm_ros

    job = json.load(sys.stdin)
    model = sicm_ros.load(job["model"], engine=job["engine"])
    results = [model.decode(base64.b64decode(packet)) for packet in job["packets"]]
    digests = [hashlib.sha256(result.symbols.tobytes()).hexdigest() for result in results if result.symbols is not None]
    print(json.dumps({"digests": digests, "computed": f"{model.engine} in {model.number_type}"}))


if __name__ == "__main__":
    _main()
