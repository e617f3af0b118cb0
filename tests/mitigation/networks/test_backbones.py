"""The networks, the sizes they take, and what MONAI itself refuses."""

from __future__ import annotations

import dataclasses
import json

import pytest

torch = pytest.importorskip("torch")
monai = pytest.importorskip("monai")

from segfair.errors import ConfigError  # noqa: E402
from segfair.mitigation.networks.backbones import (  # noqa: E402
    BACKBONES,
    NetworkConfig,
    build_network,
    check_shape,
    fitting_size,
)

SMALLEST = {"unet": (8, 8, 8), "resenc": (8, 8, 8), "segresnet": (8, 8, 8), "swinunetr": (64, 64, 64)}
PAPERS = ("unet", "segresnet", "swinunetr")


def trains_on(network: torch.nn.Module, size: tuple[int, int, int]) -> bool:
    """Whether a network on torch's meta device (shapes without data) takes this size in training."""
    try:
        logits = network(torch.empty((1, 3, *size), device="meta"))
    except (ValueError, RuntimeError):
        return False
    assert logits.shape == (1, 2, *size)
    return True


@pytest.mark.parametrize("name", PAPERS)
def test_the_default_widths_are_the_papers(name):
    config = NetworkConfig.paper(name)
    expected = {
        "unet": {"channels": [16, 32, 64, 128, 256], "strides": [2, 2, 2, 2], "num_res_units": 2, "dropout": 0.0},
        "segresnet": {"init_filters": 32, "blocks_down": [1, 2, 2, 4], "blocks_up": [1, 1, 1], "dropout_prob": 0.1},
        "swinunetr": {"feature_size": 48, "use_checkpoint": False},
    }
    ends = {"spatial_dims": 3, "in_channels": 3, "out_channels": 2}
    assert config.arguments == ends | expected[name]
    assert NetworkConfig(name).to_dict() == config.to_dict()
    assert check_shape(config, (320, 320, 128)) == (320, 320, 128)


@pytest.mark.parametrize("name", BACKBONES)
def test_small_networks_take_a_step_that_changes_every_weight(name):
    torch.manual_seed(0)
    config = NetworkConfig.small(name, in_channels=2)
    network = build_network(config)
    image = torch.rand((1, 2, *SMALLEST[name]))
    # Dropout and zero-initialised outputs aside, a weight without a gradient is one that the loss cannot reach.
    logits = network(image)
    heads = [2] if name == "resenc" else []  # of the full size and of one coarser level
    assert logits.shape == (1, *heads, 2, *SMALLEST[name])
    (logits**2).mean().backward()
    without = [key for key, weight in network.named_parameters() if weight.grad is None]
    assert without == []


@pytest.mark.parametrize("name", BACKBONES)
def test_equal_seeds_give_equal_weights(name):
    config = NetworkConfig.small(name)
    states = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        states.append(build_network(config).state_dict())
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    assert any(not torch.equal(value, states[2][key]) for key, value in states[0].items())


@pytest.mark.parametrize("name", BACKBONES)
def test_a_description_survives_json(name):
    config = NetworkConfig.small(name, in_channels=4, out_channels=1)
    assert NetworkConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("unet", [(16, 16, 16), (32, 16, 16), (24, 32, 32), (32, 32, 32), (17, 48, 48)]),
        ("segresnet", [(8, 8, 8), (4, 8, 8), (12, 16, 16), (24, 8, 40)]),
        ("swinunetr", [(32, 32, 32), (64, 32, 32), (64, 64, 64), (48, 64, 64), (96, 64, 33)]),
    ],
)
def test_a_size_is_accepted_exactly_when_monai_trains_on_it(name, sizes):
    small = {"swinunetr": {"feature_size": 12}, "segresnet": {"init_filters": 8}, "unet": {}}[name]
    config = NetworkConfig.paper(name, **small)
    network = build_network(config).to("meta").train()
    for size in sizes:
        if trains_on(network, size):
            assert check_shape(config, size) == size
        else:
            with pytest.raises(ConfigError, match="the next size that fits is"):
                check_shape(config, size)
        fit = fitting_size(config, size)
        assert fit == size or trains_on(network, fit)
        assert all(a >= b for a, b in zip(fit, size, strict=True))


def test_the_message_names_the_rule_and_the_remedy():
    with pytest.raises(ConfigError) as caught:
        check_shape(NetworkConfig.paper("unet"), (320, 320, 120), what="patch")
    assert str(caught.value) == (
        "patch 320 x 320 x 120: unet halves each side, so each must be a multiple of 16; "
        "the next size that fits is 320 x 320 x 128"
    )
    with pytest.raises(ConfigError, match=r"normalise over a single voxel at its bottom; .* 64 x 64 x 64"):
        check_shape(NetworkConfig.small("swinunetr"), (32, 32, 32))
    with pytest.raises(ConfigError, match="three positive numbers"):
        check_shape(NetworkConfig.paper("unet"), (64, 64))
    with pytest.raises(ConfigError, match="three positive numbers"):
        check_shape(NetworkConfig.paper("unet"), (64, 0, 64))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("segresnet", {"init_filters": 12}, "multiple of 8 .* try 16"),
        ("segresnet", {"blocks_up": [1, 1]}, "one entry fewer"),
        ("swinunetr", {"feature_size": 16}, "multiple of 12, got 16; try 24"),
        ("unet", {"channels": [16]}, "at least two levels"),
        ("unet", {"channels": []}, "at least 1"),
        ("unet", {"channels": 16}, "a list of numbers"),
        ("unet", {"feature_size": 48}, "unknown option feature_size; known are channels"),
        ("unet", {"residual_units": True}, "a whole number"),
        ("unet", {"dropout": 1.5}, r"dropout must lie in \[0, 1\)"),
        ("swinunetr", {"checkpointing": 1}, "true or false"),
        ("resenc", {"channels": [8, 16]}, "at least three levels"),
        ("resenc", {"channels": [8, 16, 16], "strides": [[2, 2, 2]]}, "2 entries of 3 numbers, each 1 or 2"),
        ("resenc", {"channels": [8, 16, 16], "strides": [[2, 2, 2], [1, 1, 1]]}, "one of them 2"),
        ("resenc", {"deep_supervision": "yes"}, "true or false"),
    ],
)
def test_widths_that_monai_would_refuse_later_are_refused_now(name, options, message):
    with pytest.raises(ConfigError, match=message):
        NetworkConfig(name, options=options)


def test_unknown_names_and_broken_descriptions():
    with pytest.raises(ConfigError, match="expected one of unet, resenc, segresnet, swinunetr, or module:function"):
        NetworkConfig("vnet")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="network description"):
        NetworkConfig.from_dict({"name": "unet"})
    with pytest.raises(ConfigError, match="at least one input"):
        NetworkConfig("unet", in_channels=0)


def test_a_missing_einops_is_named_before_the_first_step(monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "einops" else found(name))
    with pytest.raises(ConfigError, match="einops"):
        build_network(NetworkConfig.small("swinunetr"))


@pytest.mark.parametrize("name", BACKBONES)
def test_planar_networks_take_planar_images(name):
    config = dataclasses.replace(NetworkConfig.small(name, in_channels=1), dims=2)
    size = fitting_size(config, (70, 61))
    assert check_shape(config, size) == size
    network = build_network(config).eval()
    assert network(torch.zeros((2, 1, *size))).shape == (2, 2, *size)
    with pytest.raises(ConfigError, match="expected two positive numbers"):
        check_shape(config, (64, 64, 64))
    assert NetworkConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_descriptions_from_before_there_were_planar_networks_mean_volumes():
    tree = NetworkConfig.small("unet").to_dict()
    del tree["dims"]
    assert NetworkConfig.from_dict(tree).dims == 3
    with pytest.raises(ConfigError, match="2 or 3 dimensions, got 4"):
        NetworkConfig("unet", dims=4)


def test_thick_slices_are_halved_later_than_what_lies_within_them():
    config = NetworkConfig("resenc", 1, options={"channels": (8, 16, 16), "strides": ((2, 2, 1), (2, 2, 2))})
    assert config.multiples == (4, 4, 2)
    # A flat kernel until the axis is halved.
    assert config.arguments["kernel_size"] == [[3, 3, 1], [3, 3, 3], [3, 3, 3]]
    network = build_network(config)
    # One head of the full size, one of the level below, in training; only the first when predicting.
    assert network(torch.zeros((1, 1, 16, 16, 4))).shape == (1, 2, 2, 16, 16, 4)
    assert network.eval()(torch.zeros((1, 1, 16, 16, 4))).shape == (1, 2, 16, 16, 4)
    with pytest.raises(ConfigError, match=r"must be a multiple of 4 x 4 x 2; the next size that fits is 16 x 16 x 4"):
        check_shape(config, (16, 16, 3))


OWN = """
from torch import nn

def make(spatial_dims, in_channels, out_channels, width=4):
    kind = nn.Conv2d if spatial_dims == 2 else nn.Conv3d
    return nn.Sequential(kind(in_channels, width, 3, padding=1), kind(width, out_channels, 1))

def number(**_):
    return 3
"""


def test_a_network_of_ones_own_is_built_by_its_function(tmp_path, monkeypatch):
    (tmp_path / "networks_of_mine.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    config = NetworkConfig("networks_of_mine:make", 1, options={"width": 2}, dims=2)
    assert build_network(config)(torch.zeros((1, 1, 5, 7))).shape == (1, 2, 5, 7)
    assert check_shape(config, (5, 7)) == (5, 7)
    assert config.target == "networks_of_mine.make"
    for name, options, message in (
        ("networks_of_mine:nothing", {}, "cannot be imported .*expected module:function"),
        ("no_such_module:make", {}, "cannot be imported"),
        ("networks_of_mine:make", {"depth": 3}, "cannot be called with the keywords spatial_dims, .*depth"),
        ("networks_of_mine:number", {}, "returned int; expected a torch.nn.Module"),
    ):
        with pytest.raises(ConfigError, match=message):
            build_network(NetworkConfig(name, 1, options=options))


@pytest.mark.parametrize("dims", [2, 3])
def test_a_stem_works_at_half_the_fineness_and_gives_back_the_whole(dims):
    config = NetworkConfig("resenc", 1, options={"channels": (8, 16, 16), "stem": 2}, dims=dims)
    assert config.multiples == (8,) * dims
    size = fitting_size(config, (30,) * dims)
    torch.manual_seed(0)
    network = build_network(config)
    # In training, too: a stem has no heads of its own.
    assert network(torch.zeros((2, 1, *size))).shape == (2, 2, *size)
    assert config.arguments["deep_supervision"] is False
    torch.manual_seed(0)
    same = eval(config.expression, {"torch": torch, "monai": monai})  # as a bundle builds it
    assert all(torch.equal(value, same.state_dict()[key]) for key, value in network.state_dict().items())
    assert NetworkConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert NetworkConfig.small("unet").expression is None
