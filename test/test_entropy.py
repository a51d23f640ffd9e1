# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The learnt prior: exact integers everywhere, a rate that training can trust, symbols that survive any machine."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sicm_ros
from sicm_ros.engines.check import LEVEL
from sicm_ros.entropy import IntegerPrior, PriorConfig
from sicm_ros.entropy import integer as integer_module
from sicm_ros.entropy.config import EVEN, LEFT, RIGHT, hyper_size
from sicm_ros.entropy.likelihood import bits, build_tables
from sicm_ros.entropy.prior import StereoPrior, quantise
from sicm_ros.entropy.tables import PRECISION, Tables
from sicm_ros.errors import BitstreamError, InputError, ModelError
from sicm_ros.model.folder import open_model

SMALL = {"channels": 6, "hyper_channels": 4, "hyper_width": 8, "features": 8, "hidden": 16}
ABLATIONS = [
    PriorConfig(**SMALL, hyperprior=hyperprior, context=context, cross_view=cross_view)
    for hyperprior in (True, False)
    for context in (True, False)
    for cross_view in (True, False)
] + [PriorConfig(**SMALL, right_channels=2), PriorConfig(**SMALL, right_channels=6, context=False)]


pytestmark = pytest.mark.usefixtures("one_thread")


def ablation_name(config: PriorConfig) -> str:
    names = [name for name in ("hyperprior", "context", "cross_view") if getattr(config, name)]
    return "-".join(names + [f"right{config.right_channels}"] * (config.right_channels is not None)) or "none"


def trained(config: PriorConfig, seed: int = 0) -> StereoPrior:
    """A prior with weights as if something had been learnt: none at its initial value."""
    torch.manual_seed(seed)
    prior = StereoPrior(config)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter += torch.randn_like(parameter) * (0.3 * parameter.std() if parameter.dim() > 2 else 0.03)
        for network in prior.networks:
            network.mean.bias += 0.05 * torch.randn_like(network.mean.bias)
            network.scale.bias += 0.06 * torch.randn_like(network.scale.bias)
    return prior


def latents(config: PriorConfig, height: int, width: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Scaled latents of a pair of similar views, from almost nothing to a few steps; all within 15 of any mean."""
    torch.manual_seed(seed)
    gain = torch.logspace(-1.5, 0, config.channels)[:, None, None]
    left = torch.distributions.Laplace(0.0, 1.0).sample((1, config.channels, height, width)).clamp(-9, 9) * gain
    right = torch.roll(left, -1, 3) + 0.2 * gain * torch.randn_like(left)
    right[:, config.coded(RIGHT) :] = 0
    return left, right


def symbols(
    prior: StereoPrior, height: int, width: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    left, right = latents(prior.config, height, width, seed)
    z = prior.analyse(left, right)
    return tuple(None if x is None else quantise(x)[0].detach().numpy().astype(np.int32) for x in (left, right, z))


@pytest.mark.parametrize("config", ABLATIONS, ids=ablation_name)
def test_training_and_coding_agree_on_every_mean_and_scale(config, monkeypatch):
    prior = trained(config)
    height, width, quality = 7, 10, 131
    seen = []
    original = integer_module.code_symbols
    monkeypatch.setattr(
        integer_module,
        "code_symbols",
        lambda coder, mean, scale, wanted: seen.append((mean, scale)) or original(coder, mean, scale, wanted),
    )
    left, right, z = symbols(prior, height, width)
    prior.export().bits_map(left, right, z, quality)
    if config.hyperprior:
        mean, scale = prior._hyper_distributions(torch.tensor([quality]))
        for ours, theirs in zip(seen.pop(0), (mean, scale), strict=True):
            assert (ours == theirs.detach()[0, :, :, 0].numpy()).all()
    with torch.no_grad():
        pair = [torch.from_numpy(x[: config.coded(view)])[None].float() for view, x in ((LEFT, left), (RIGHT, right))]
        constant = torch.full((1, 1, 1, 1), float(quality))
        features = None
        if config.hyperprior:
            features = prior._synthesise(torch.from_numpy(z)[None].float(), constant, height, width)
        expected = [[x[0].numpy() for x in said] for said in prior._distributions(pair, features, constant)]
    assert len(set(np.concatenate([scale.ravel() for _, scale in expected]))) > 3, "too tame a prior to prove anything"
    for step, coded in zip(config.passes(), seen, strict=True):
        indices = integer_module.cell_indices(height, width, step.parity)
        for ours, theirs in zip(coded, expected[step.view], strict=True):
            assert (ours == theirs.reshape(len(theirs), -1).T[indices]).all()


@pytest.mark.parametrize("config", ABLATIONS, ids=ablation_name)
def test_bytes_are_what_training_estimates(config):
    prior = trained(config)
    height, width, quality = 24, 40, 200
    left, right = latents(config, height, width)
    with torch.no_grad():
        output = prior(left, right, quality)
    coded = symbols(prior, height, width)
    integer = prior.export()
    size = 8 * len(integer.compress(*coded, quality))
    assert size == pytest.approx(output.bits.item(), rel=0.02)
    cells = integer.bits_map(*coded, quality)
    assert cells.sum() == pytest.approx(size, abs=64)
    spread = output.hyper_bits.item() / cells.size
    assert cells == pytest.approx(output.cell_bits[0].numpy() + spread, rel=0.02, abs=0.05)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ABLATIONS),
    st.integers(1, 9),
    st.integers(1, 13),
    st.integers(0, 255),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.3, 0.9, 40.0, 5000.0]),
)
def test_what_is_sent_comes_back(config, height, width, quality, seed, spread):
    prior = exported(config)
    random = np.random.default_rng(seed)

    def draw(channels: int, rows: int, columns: int) -> np.ndarray:
        return np.rint(random.laplace(0, spread, (channels, rows, columns))).astype(np.int32)

    left, right = (draw(config.channels, height, width) for _ in range(2))
    right[config.coded(RIGHT) :] = 0
    z = draw(config.hyper_channels, *hyper_size(height, width)) if config.hyperprior else None
    payload = prior.compress(left, right, z, quality)
    sent = prior.decompress(payload, height, width, quality)
    if spread < 1000:  # of 5000, some lie further out than an excess can say
        expected = [x for x in (left, right, z) if x is not None]
        assert all((a == b).all() for a, b in zip(sent, expected, strict=False))
    assert prior.compress(*sent, quality) == payload


_EXPORTED: dict[PriorConfig, IntegerPrior] = {}


def exported(config: PriorConfig) -> IntegerPrior:
    """One per configuration, means kept near zero so that small symbols are within reach of every table."""
    if config not in _EXPORTED:
        torch.manual_seed(1)
        _EXPORTED[config] = StereoPrior(config).export()
    return _EXPORTED[config]


# Decodes with nothing but the arrays and the payload; argv: folder, type of the sums, order of the arrays in memory.
_OTHER_PROCESS = """
import sys
from pathlib import Path
import numpy as np
from sicm_ros.entropy import IntegerPrior, PriorConfig
folder, dtype, order = Path(sys.argv[1]), getattr(np, sys.argv[2]), sys.argv[3]
with np.load(folder / "prior.npz", allow_pickle=False) as file:
    arrays = {name: np.asarray(file[name], order=order) for name in file.files}
prior = IntegerPrior(PriorConfig(), arrays, dtype=dtype)
left, right, z = prior.decompress((folder / "payload").read_bytes(), 12, 54, 90)
assert "torch" not in sys.modules
sys.stdout.buffer.write(b"".join(np.ascontiguousarray(x, "<i4").tobytes() for x in (left, right, z)))
"""


@pytest.mark.parametrize(("name", "digest"), [("default", "1f7cf955a4182bc1"), ("free", "272910a62ba77adc")])
def test_payloads_of_the_models_that_ship_stay_as_they_were_written(name, digest):
    model = open_model(name)
    payload = model.graphs().payload
    left, right, z = model.prior.decompress(payload, 12, 54, LEVEL)
    symbols = b"".join(x.astype("<i4").tobytes() for x in (left, right, z))
    assert hashlib.sha256(symbols).hexdigest()[:16] == digest
    assert model.prior.compress(left, right, z, LEVEL) == payload


def test_other_processes_decode_the_same_symbols(tmp_path):
    """Threads, kernels of other processors, double precision and memory order change nothing."""
    prior = trained(PriorConfig())
    left, right, z = symbols(prior, 12, 54)
    integer = prior.export()
    np.savez(tmp_path / "prior.npz", **integer.arrays())
    payload = integer.compress(left, right, z, 90)
    (tmp_path / "payload").write_bytes(payload)
    sent = integer.decompress(payload, 12, 54, 90)
    expected = b"".join(x.astype("<i4").tobytes() for x in sent)
    assert (sent[0] == left).all()
    assert np.ptp(left) > 8
    machines = [
        # Without fused multiply-add, or in other widths.
        ({"OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Prescott"}, "float32", "F"),
        ({"OPENBLAS_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Haswell"}, "float64", "C"),
        ({"OPENBLAS_NUM_THREADS": "2"}, "float32", "C"),
    ]
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", _OTHER_PROCESS, str(tmp_path), dtype, order],
            env={**os.environ, **environment, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdout=subprocess.PIPE,
        )
        for environment, dtype, order in machines
    ]
    for run, machine in zip(runs, machines, strict=True):
        decoded, _ = run.communicate(timeout=120)
        assert run.returncode == 0, machine
        assert decoded == expected, machine


@pytest.mark.parametrize(
    ("flags", "kernels"),
    [
        ("sse4_1", ""),
        ("avx avx2", ""),
        ("avx avx2 fma", "Haswell"),
        ("avx2 fma avx512f avx512cd", "Haswell"),
        ("avx2 fma avx512f avx512cd avx512bw avx512dq avx512vl", "SkylakeX"),
        ("avx2 fma avx512f avx512cd avx512bw avx512dq avx512vl avx512_bf16", "Cooperlake"),
    ],
)
def test_kernels_for_the_products_follow_from_what_the_processor_can(tmp_path, flags, kernels):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: fpu {flags} ht\nbugs\t: avx2\n\nflags\t: other\n")
    assert sicm_ros._kernels(sicm_ros._processor_flags(str(tmp_path / "cpuinfo"))) == kernels
    assert sicm_ros._processor_flags(str(tmp_path / "none")) == set()


@pytest.mark.parametrize("chosen", [None, "Prescott"])
def test_numpy_computes_with_kernels_of_this_processor(chosen):
    """OpenBLAS of NumPy 1.26 takes processors that it doesn't know for a Prescott."""
    libraries = list(Path(np.__file__).parents[1].glob("numpy.libs/*openblas*"))
    if not libraries or not sicm_ros._kernels(sicm_ros._processor_flags()):
        pytest.skip("NumPy without OpenBLAS of its own, or a processor without AVX2")
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    code = (
        "import ctypes, sys, sicm_ros, numpy\n"
        "name = ctypes.CDLL(sys.argv[1]).openblas_get_corename64_\n"
        "name.restype = ctypes.c_char_p\n"
        "print(name().decode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(libraries[0])],
        env=environment | ({"OPENBLAS_CORETYPE": chosen} if chosen else {}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.strip() == "Prescott") == (chosen == "Prescott"), done.stdout


@pytest.mark.parametrize("right_channels", [None, 2])
def test_a_second_decoder_written_from_the_document_agrees(right_channels):
    """docs/bitstream.md in a hundred lines of Python integers: no floating point, no constriction."""
    config = PriorConfig(**SMALL, right_channels=right_channels)
    prior = trained(config)
    left, right, z = symbols(prior, 5, 7)
    integer = prior.export()
    for latent, outliers in ((left, [16, -40, 500]), (right, [-9000]), (z, [70, -70])):  # far beyond their tables
        latent.flat[: len(outliers)] = outliers
    payload = integer.compress(left, right, z, 60)
    assert all((a == b).all() for a, b in zip(integer.decompress(payload, 5, 7, 60), (left, right, z), strict=True))
    decoder = ReferenceDecoder(config, integer.arrays(), payload)
    for ours, theirs in zip(decoder.decode(5, 7, 60), integer.decompress(payload, 5, 7, 60), strict=True):
        assert (ours == theirs).all()


def test_a_second_decoder_refuses_the_same_payloads():
    config = PriorConfig(channels=2, hyper_channels=2, hyper_width=2, features=2, hidden=4)
    prior = trained(config)
    integer = prior.export()
    payload = integer.compress(*symbols(prior, 2, 3), 60)
    random = np.random.default_rng(3)
    verdicts = set()
    for _ in range(60):
        changed = bytearray(payload)
        changed[int(random.integers(len(changed))) :] = random.bytes(int(random.integers(5)))
        decoder = ReferenceDecoder(config, integer.arrays(), bytes(changed))
        try:
            expected = decoder.decode(2, 3, 60)
            expected = expected if decoder.finished() else None
        except AssertionError:
            expected = None
        try:
            got = integer.decompress(bytes(changed), 2, 3, 60)
        except BitstreamError:
            got = None
        assert (got is None) == (expected is None)
        if got is not None:
            assert all((a == b).all() for a, b in zip(got, expected, strict=True))
        verdicts.add(got is None)
    assert verdicts == {True, False}


class ReferenceDecoder:
    """The specification's second implementation; slow, whole numbers alone."""

    def __init__(self, config: PriorConfig, arrays: dict[str, np.ndarray], payload: bytes) -> None:
        self.config, self.arrays = config, arrays
        payload += bytes(-len(payload) % 4)
        self.words = [int.from_bytes(payload[i : i + 4], "little") for i in range(0, len(payload), 4)]
        self.lower, self.range = 0, 2**64 - 1
        self.point = self.word() << 32 | self.word()
        starts, self.tables = 0, []
        for reach in arrays["tables.reach"].tolist():
            for _ in range(4):
                self.tables.append((reach, arrays["tables.frequencies"][starts : starts + 2 * reach + 1].tolist()))
                starts += 2 * reach + 1

    def word(self) -> int:
        return self.words.pop(0) if self.words else 0

    def residual(self, table: int) -> int:
        reach, frequencies = self.tables[table]
        return self.entry(frequencies) - reach

    def entry(self, frequencies: list[int]) -> int:
        scale = self.range >> 24
        quantile = ((self.point - self.lower) % 2**64) // scale
        assert quantile < 2**24
        entry, cumulative = 0, 0
        while quantile >= cumulative + frequencies[entry]:
            cumulative += frequencies[entry]
            entry += 1
        self.lower = (self.lower + scale * cumulative) % 2**64
        self.range = scale * frequencies[entry]
        if self.range < 2**32:
            self.lower = (self.lower << 32) % 2**64
            self.range <<= 32
            self.point = (self.point << 32) % 2**64 | self.word()
        return entry

    def symbols(self, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
        tables = (4 * scale + (mean & 3)).ravel()
        residuals = np.zeros(tables.size, np.int64)
        for table in range(128):
            for position in np.flatnonzero(tables == table):
                residuals[position] = self.residual(table)
        ends = [i for i, table in enumerate(tables) if abs(residuals[i]) == self.tables[table][0]]
        for i, length in [(i, self.entry([2**20] * 16)) for i in ends]:
            excess = 1
            for _ in range(length):
                excess = 2 * excess + self.entry([2**23] * 2)
            residuals[i] += np.sign(residuals[i]) * (excess - 1)
        return residuals.reshape(mean.shape) + (mean >> 2)

    def layer(self, name: str, inputs: np.ndarray, shift: int, low: int, high: int) -> np.ndarray:
        weight, bias = (self.arrays[f"{name}.{part}"].astype(np.int64) for part in ("weight", "bias"))
        return np.clip((inputs @ weight + bias + (1 << shift - 1)) >> shift, low, high)

    def decode(self, height: int, width: int, quality: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        config, bucket = self.config, quality // 32
        rows, columns = -(-height // 4), -(-width // 4)
        mean, scale = (
            np.broadcast_to(
                self.arrays[f"z.{name}"][bucket].astype(np.int64)[:, None, None], (config.hyper_channels, rows, columns)
            )
            for name in ("mean", "scale")
        )
        z = self.symbols(mean, scale)
        grid = np.clip(z, -31, 31)
        for name, shift, size in (("hyper0", 5, (-(-height // 2), -(-width // 2))), ("hyper1", 7, (height, width))):
            _, rows, columns = grid.shape
            fine = np.zeros((self.arrays[f"{name}.bias"].size // 4, 2 * rows, 2 * columns), np.int64)
            for row in range(rows):
                for column in range(columns):
                    inputs = self.window(grid, row, column, [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)])
                    if name == "hyper0":
                        inputs = np.concatenate([[quality], inputs])
                    cell = self.layer(name, inputs, shift, 0, 255).reshape(-1, 2, 2)
                    fine[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = cell
            grid = fine[:, : size[0], : size[1]]
        features = np.split(grid, 2)
        y = np.zeros((2, config.channels, height, width), np.int64)
        own = [(i, j) for i in range(-2, 3) for j in range(-2, 3) if (i + j) % 2]
        cross = [(i, j) for i in range(-1, 2) for j in range(-1, 6)]
        for number in range(4):
            view, parity = number // 2, number % 2
            cells = [(i, j) for i in range(height) for j in range(width) if (i + j) % 2 == parity]
            coded = config.right_channels if view and config.right_channels else config.channels
            means, scales = [], []
            for i, j in cells:
                inputs = [[quality], features[view][:, i, j]]
                if parity:
                    inputs.append(self.window(np.clip(y[view, :coded], -31, 31), i, j, own))
                if view:
                    inputs.append(self.window(np.clip(y[0], -31, 31), i, j, cross))
                hidden = self.layer(f"pass{number}.0", np.concatenate(inputs), 5, 0, 255)
                hidden = self.layer(f"pass{number}.1", hidden, 7, 0, 255)
                means.append(self.layer(f"pass{number}.mean", hidden, 9, -511, 511))
                scales.append(self.layer(f"pass{number}.scale", hidden, 9, 0, 31))
            for (i, j), symbols in zip(cells, self.symbols(np.array(means), np.array(scales)), strict=True):
                y[view, :coded, i, j] = symbols
        return y[0], y[1], z

    def finished(self) -> bool:
        """Nothing is left of the payload."""
        return not self.words and (self.range == 2**64 - 1 or (self.point - self.lower) % 2**64 < 2**33 - 1)

    @staticmethod
    def window(grid: np.ndarray, row: int, column: int, taps: list[tuple[int, int]]) -> np.ndarray:
        _, height, width = grid.shape
        seen = []
        for i, j in taps:
            inside = 0 <= row + i < height and 0 <= column + j < width
            seen.append(grid[:, row + i, column + j] if inside else np.zeros(len(grid), np.int64))
        return np.concatenate(seen)


def test_every_parameter_and_both_views_get_a_gradient():
    prior = trained(PriorConfig(**SMALL))
    left, right = (view.requires_grad_() for view in latents(prior.config, 8, 12))
    output = prior(left, right, torch.tensor([3]))
    (output.bits.sum() + (output.left * 0.01).sum()).backward()
    for name, parameter in prior.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name
    assert left.grad.abs().sum() > 0
    assert right.grad.abs().sum() > 0


def test_training_learns_that_the_right_view_is_the_left_one_shifted():
    """Both views as random as can be, but the right one is the left one two cells further: its bits can go."""
    torch.manual_seed(0)
    prior = StereoPrior(PriorConfig(channels=4, hyper_channels=4, hyper_width=8, features=8, hidden=24))
    optimizer = torch.optim.Adam(prior.parameters(), 6e-3)
    for step in range(70):
        noise = 2 * torch.randn(4, 4, 6, 16)
        left, right = prior(noise[..., :12], noise[..., 2:14], 128).cell_bits.mean((0, 2, 3))
        optimizer.param_groups[0]["lr"] = 6e-3 * (1 - step / 70)
        optimizer.zero_grad()
        (left + right).backward()
        optimizer.step()
    assert right < 0.85 * left


def test_independent_views_are_independent():
    prior = trained(PriorConfig(**SMALL, cross_view=False))
    left, right = latents(prior.config, 8, 12)
    first, second = prior(left, right, 9), prior(left + 3, right, 9)
    assert (first.cell_bits[:, 1] == second.cell_bits[:, 1]).all()
    assert (first.cell_bits[:, 0] != second.cell_bits[:, 0]).any()


def test_tables_are_whole_and_follow_the_likelihood():
    tables = build_tables()
    assert all(tables.of(i).sum() == 1 << PRECISION for i in range(128))
    # Laplace, standard deviation 1.0: P(0) = 1 - exp(-sqrt(2) / 2) = 0.5069; the index of that scale lies between two.
    assert 2**-24 * tables.of(4 * 13)[tables.reach[13]] > 0.5069 > 2**-24 * tables.of(4 * 14)[tables.reach[14]]
    # A mean of a half makes 0 and 1 equally likely, one of a quarter mirrors one of three quarters.
    quarter, half, three = (tables.of(4 * 20 + fraction)[tables.reach[20] :] for fraction in (1, 2, 3))
    assert half[0] == pytest.approx(half[1], abs=100)
    assert quarter[0] == pytest.approx(three[1], abs=100)


def test_symbols_however_far_off_are_led_back():
    """No cost is flat or infinite: latents that start at hundreds of steps must find their way."""
    offset = torch.tensor([0.75, 20.0, 300.0, 5000.0]).requires_grad_()
    for scale in (0.0, 13.0, 31.0):
        cost = bits(offset, torch.tensor(scale))
        (gradient,) = torch.autograd.grad(cost.sum(), offset)
        assert cost.isfinite().all()
        assert (gradient > 0.03).all()


def test_the_checkerboard_sees_only_what_is_known():
    taps = integer_module.offsets((2, 2, 2, 2), 1, EVEN)
    assert len(taps) == 12
    assert all((row + column) % 2 for row, column in taps)


def test_sums_that_could_lose_exactness_are_refused():
    arrays = exported(ABLATIONS[0]).arrays()
    arrays["pass0.1.bias"] = arrays["pass0.1.bias"] + (1 << 24)
    with pytest.raises(ModelError, match="2\\^24"):
        IntegerPrior(ABLATIONS[0], arrays)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("tables.frequencies", lambda a: a + 1, "sum"),
        ("tables.frequencies", lambda a: a[:-1], "number"),
        ("tables.reach", lambda a: a * 0, "reaches"),
        ("pass1.0.weight", lambda a: a[:-1], "another configuration"),
        ("pass1.0.weight", lambda a: a.astype(np.float32), "integers"),
        ("z.scale", lambda a: a + 40, "z.scale"),
        ("pass3.mean.bias", lambda a: None, "missing"),
    ],
)
def test_damaged_models_are_refused_by_name(name, change, says):
    arrays = exported(ABLATIONS[0]).arrays()
    changed = change(arrays.pop(name))
    if changed is not None:
        arrays[name] = changed
    with pytest.raises(ModelError, match=says):
        IntegerPrior(ABLATIONS[0], arrays)


def test_latents_of_another_shape_are_refused():
    prior = exported(ABLATIONS[0])
    left = np.zeros((6, 4, 8), np.int32)
    with pytest.raises(InputError, match="expected \\(6, h, w\\)"):
        prior.compress(left[:5], left[:5], np.zeros((4, 1, 2), np.int32), 0)
    with pytest.raises(InputError, match="hyper latent"):
        prior.compress(left, left, None, 0)
    with pytest.raises(InputError, match="beyond its first 2 channels"):
        exported(PriorConfig(**SMALL, right_channels=2)).compress(left, left + 1, np.zeros((4, 1, 2), np.int32), 0)
    with pytest.raises(InputError, match="expected 1 to 6"):
        PriorConfig(**SMALL, right_channels=7)
    with pytest.raises(InputError, match="independent views"):
        PriorConfig(**SMALL, right_channels=2, cross_view=False)


def test_random_payloads_give_symbols_or_bitstream_errors():
    prior = exported(ABLATIONS[0])
    random = np.random.default_rng(5)
    outcomes = set()
    for size in [*range(40), *random.integers(40, 3000, 60).tolist()]:
        try:
            left, _, _ = prior.decompress(random.bytes(size), 4, 8, 255)
            outcomes.add("decoded")
            assert np.abs(left).max() < 1000
        except BitstreamError:
            outcomes.add("refused")
    assert "refused" in outcomes  # bytes left over, at least


def test_tables_refuse_what_could_not_be_coded():
    good = build_tables()
    with pytest.raises(ModelError, match="not positive"):
        Tables(good.reach, np.where(np.arange(good.frequencies.size) == 3, 0, good.frequencies))
