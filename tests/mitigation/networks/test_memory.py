"""The memory estimate: what it counts, and that its remedies fit."""

from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from segfair.errors import ConfigError  # noqa: E402
from segfair.mitigation.networks.backbones import NetworkConfig, build_network, check_shape  # noqa: E402
from segfair.mitigation.networks.memory import available_memory, check_memory, estimate_memory  # noqa: E402

GB = 2**30


def test_activations_are_those_autograd_keeps_in_a_real_step():
    config = NetworkConfig.small("unet")
    size = (16, 24, 32)
    network = build_network(config).train()
    weights = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = network(torch.rand((1, 3, *size)))
        torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))
    real = sum(storage.nbytes() for storage in kept.values())
    state = 16 * sum(weight.numel() for weight in network.parameters())
    # The widest tensor is the full-resolution output, one channel stored as sixteen.
    working = 3 * 16 * 4 * 16 * 24 * 32
    assert estimate_memory(config, size) == pytest.approx(real + state + working, rel=0.02)


def test_the_estimate_grows_with_voxels_and_batch_and_not_otherwise():
    config = NetworkConfig.small("segresnet")
    one = estimate_memory(config, (32, 32, 32))
    state = 16 * sum(weight.numel() for weight in build_network(config).parameters())
    assert estimate_memory(config, (64, 32, 32)) - state == pytest.approx(2 * (one - state), rel=0.02)
    assert estimate_memory(config, (32, 32, 32), batch_size=3) - state == pytest.approx(3 * (one - state), rel=1e-6)
    assert estimate_memory(config, (32, 32, 32), amp=True) < one


def test_the_papers_setting_is_within_a_third_of_what_was_measured():
    measured = {"unet": 3.84, "segresnet": 35.0}
    for name, gigabytes in measured.items():
        estimate = estimate_memory(NetworkConfig.paper(name), (320, 320, 128)) / GB
        assert gigabytes / 1.34 < estimate < gigabytes * 1.34


def test_estimating_leaves_the_random_numbers_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    estimate_memory(NetworkConfig.small("unet"), (16, 16, 16))
    assert torch.equal(torch.rand(3), expected)


def test_checkpointing_lowers_the_estimate_of_swinunetr():
    plain = estimate_memory(NetworkConfig.small("swinunetr"), (64, 64, 64))
    thrifty = estimate_memory(NetworkConfig.small("swinunetr", checkpointing=True), (64, 64, 64))
    assert thrifty < 0.7 * plain


def test_too_large_a_step_is_refused_with_a_batch_that_fits():
    config = NetworkConfig.paper("unet")
    two = estimate_memory(config, (64, 64, 64), batch_size=2)
    with pytest.raises(ConfigError, match="batch size 8: a training step needs about") as caught:
        check_memory(config, (64, 64, 64), batch_size=8, limit_bytes=two + 1000)
    assert "--batch-size 2 fits" in str(caught.value)
    assert check_memory(config, (64, 64, 64), batch_size=2, limit_bytes=two + 1000) == two


def test_too_large_a_volume_is_refused_with_a_patch_that_fits():
    config = NetworkConfig.paper("segresnet")
    limit = 8 * GB
    with pytest.raises(ConfigError) as caught:
        check_memory(config, (320, 320, 128), limit_bytes=limit)
    found = re.search(r"--patch (\d+) (\d+) (\d+)", str(caught.value))
    assert found is not None
    patch = check_shape(config, [int(side) for side in found.groups()])
    assert limit / 2 < estimate_memory(config, patch) <= limit


def test_a_network_that_fits_nowhere_is_told_to_shrink():
    with pytest.raises(ConfigError, match="no size fits this network: choose smaller widths"):
        check_memory(NetworkConfig.paper("unet"), (64, 64, 64), limit_bytes=10_000)


def test_the_machines_memory_is_known_here():
    memory = available_memory("cpu")
    assert memory is None or memory > GB / 8
