# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Task-weighted principal components, against what is known of them."""

from __future__ import annotations

import pytest
import torch

from sicm_ros.network import MVSFCNet, NetworkConfig
from sicm_ros.network.smfc import FeatureDecoder, FeatureEncoder
from sicm_ros.training.transform import PLAIN, _set_transform, _step, cells, components


def correlated(count: int = 4000, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(12, 12, generator=generator, dtype=torch.float64)
    return torch.randn(count, 12, generator=generator, dtype=torch.float64) @ mixing + 3


def left_over(x: torch.Tensor, found) -> torch.Tensor:
    centred = x - found.mean
    return centred - centred @ found.analysis.T @ found.synthesis.T


def test_without_a_task_they_are_principal_components():
    x = correlated()
    found = components(x, torch.zeros_like(x), 4)
    expected = torch.linalg.eigvalsh(torch.cov(x.T, correction=0))[:-4].sum()
    assert left_over(x, found).square().sum(1).mean().item() == pytest.approx(expected.item(), rel=1e-6)


def test_all_of_them_give_everything_back():
    x = correlated()
    found = components(x, torch.randn_like(x), 12)
    assert left_over(x, found).abs().max() < 1e-9


def test_what_the_task_looks_at_is_kept_first():
    x = correlated()
    gradients = torch.zeros_like(x)
    gradients[:, 7] = torch.randn(len(x), dtype=x.dtype)
    with_task, without = (left_over(x, components(x, g, 3)) for g in (100 * gradients, 0 * gradients))
    assert with_task[:, 7].square().mean() < 0.2 * without[:, 7].square().mean()


def test_no_projection_of_that_rank_is_better_in_the_metric():
    x = correlated()
    gradients = correlated(seed=1)
    metric = gradients.T @ gradients
    metric = metric / metric.trace() * 12 + PLAIN * torch.eye(12, dtype=x.dtype)

    def cost(error: torch.Tensor) -> float:
        return ((error @ metric) * error).sum(1).mean().item()

    best = cost(left_over(x, components(x, gradients, 5)))
    for seed in range(20):
        plane = torch.linalg.qr(torch.randn(12, 5, generator=torch.Generator().manual_seed(seed), dtype=x.dtype))[0]
        centred = x - x.mean(0)
        assert best <= cost(centred - centred @ plane @ plane.T)


def test_a_finer_step_costs_more_bits_and_the_asked_ones():
    latents = torch.distributions.Laplace(0.0, 1.0).sample((20_000, 3)).double()
    for bits in (1.0, 6.0):
        rounded = (latents / _step(latents, bits)).round()
        entropy = sum(
            -(share * share.log2()).sum().item()
            for share in (c.unique(return_counts=True)[1] / len(c) for c in rounded.T)
        )
        assert entropy == pytest.approx(bits, abs=0.05)


@pytest.mark.parametrize("jointly", [True, False])
def test_a_codec_begins_as_the_transform(jointly: bool):
    """The convolutions do what the matrices say, and the units beside them are silent."""
    torch.manual_seed(0)
    codec = {"scales_jointly": jointly, "compensation": False, "width": 16, "search": 8, "prior": {"channels": 48}}
    config = NetworkConfig.parse({"input_width": 96, "input_height": 64, "codec": codec})
    network = MVSFCNet(config).eval()
    features = tuple(torch.randn(4, c, 64 // s, 96 // s) for c, s in zip((24, 40, 112), (4, 8, 16)))
    x = cells(features)
    _set_transform(network, x, torch.randn_like(x))
    assert isinstance(network.encoder, FeatureEncoder)
    assert isinstance(network.decoder, FeatureDecoder)
    latents = network.encoder(features)
    rebuilt = network.decoder(latents, torch.zeros(4))
    assert [r.shape for r in rebuilt] == [f.shape for f in features]
    error = cells(tuple(r - f for r, f in zip(rebuilt, features)))
    kept = 1 - error.square().sum() / (x - x.mean(0)).square().sum()
    assert kept > 0.05, "48 of 656 equally strong components"
    # What it projects to, it gives back as it is.
    again = network.decoder(network.encoder(tuple(rebuilt)), torch.zeros(4))
    for first, second in zip(rebuilt, again):
        assert torch.allclose(first, second, atol=1e-3)


def test_quality_spans_the_sizes_asked_for():
    torch.manual_seed(0)
    network = MVSFCNet(NetworkConfig.parse({"input_width": 96, "input_height": 64}))
    features = tuple(torch.randn(8, c, 64 // s, 96 // s) for c, s in zip((24, 40, 112), (4, 8, 16)))
    x = cells(features)
    _set_transform(network, x, torch.zeros_like(x))
    gains = network.gain(torch.tensor([0.0, 0.5, 1.0])).flatten(1)
    assert (gains[1:] > gains[:-1]).all()
    assert torch.allclose(gains[1] ** 2, gains[0] * gains[2], rtol=1e-4)


def test_with_compensation_the_left_view_alone_is_transformed():
    torch.manual_seed(0)
    network = MVSFCNet(NetworkConfig.parse({"input_width": 96, "input_height": 64})).eval()
    features = tuple(torch.randn(2, c, 64 // s, 96 // s) for c, s in zip((24, 40, 112), (4, 8, 16)))
    left = tuple(f[:1] for f in features)
    before = network.gain(torch.tensor([0.0, 1.0]))[:, 64:].clone()
    x = cells(left)
    _set_transform(network, x, torch.randn_like(x))
    assert torch.equal(network.gain(torch.tensor([0.0, 1.0]))[:, 64:], before), "the geometry's gains are its own"
    with torch.no_grad():
        latents = network.encoder(features, network.encoder.stereo(features), torch.ones(1))
        rebuilt, _ = network.decoder(latents, torch.ones(1))
    error = cells(tuple(r[:1] - f for r, f in zip(rebuilt, left)))
    assert error.square().sum() < 0.5 * (x - x.mean(0)).square().sum(), "24 cells have 64 components"
