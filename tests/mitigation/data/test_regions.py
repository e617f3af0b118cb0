"""Regions: targets of a label map, and the label map that gives predicted regions back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from segfair.errors import ConfigError
from segfair.mitigation.data.regions import IGNORED, LESION, Region, Regions
from segfair.protocol.rules import LabelRule, Protocol, load_protocol
from segfair.scoring.pairs import lesion_of, score_pair

BRATS = {"whole": (1, 2, 3), "core": (2, 3), "enhancing": (3,)}
VALUES = np.arange(5, dtype=np.uint8).reshape(5, 1, 1)
"""A label map of the values 0 to 4, each once."""


def protocol_of(regions: dict[str, tuple[int, ...]], ignore: int | None = None) -> Protocol:
    return load_protocol("default").replace(regions=regions, ignore_label=ignore)


def test_one_lesion_is_background_and_lesion_for_a_network():
    assert Regions() == LESION == Regions.of_protocol(load_protocol("default"))
    assert (len(LESION), LESION.n_channels) == (1, 2)
    two = Regions.of_protocol(load_protocol("default").replace(label=LabelRule((2, 4))))
    assert two.encode(VALUES)[0].ravel().tolist() == [0, 0, 1, 0, 1]
    assert two.decode(two.encode(VALUES)).ravel().tolist() == [0, 0, 2, 0, 2], "written as the first of its values"


def test_any_value_but_the_ignored_one_is_lesion():
    regions = Regions.of_values("any", ignore=1)
    assert regions.encode(VALUES)[0].ravel().tolist() == [0, IGNORED, 1, 1, 1]
    assert regions.counts(VALUES).ravel().tolist() == [False, False, True, True, True]
    assert regions.each[0].written == 2, "1 is what counts nowhere"


def test_nested_regions_are_targets_of_their_own_and_come_back():
    regions = Regions.of_protocol(protocol_of(BRATS))
    assert [region.name for region in regions.each] == ["whole", "core", "enhancing"]
    assert [region.written for region in regions.each] == [1, 2, 3]
    assert regions.n_channels == 3
    targets = regions.encode(VALUES)
    assert targets[:, :, 0, 0].tolist() == [[0, 1, 1, 1, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 0]]
    assert regions.decode(targets == 1).ravel().tolist() == [0, 1, 2, 3, 0]


@pytest.mark.parametrize(
    "named",
    [
        BRATS,
        dict(reversed(BRATS.items())),
        {"whole": (1, 2, 4), "core": (1, 4), "enhancing": (4,)},
        {"liver": (1,), "tumour": (2,)},
        {"organ": (1, 2), "tumour": (2,), "vessel": (3, 4)},
    ],
    ids=["BraTS", "smallest first", "BraTS before 2023", "disjoint", "both"],
)
def test_every_region_of_a_label_map_survives_targets_and_writing(named):
    rng = np.random.default_rng(0)
    label = rng.integers(0, 5, (6, 5, 4)).astype(np.uint8)
    regions = Regions.of_protocol(protocol_of(named))
    written = regions.decode(regions.encode(label) == 1)
    for values in named.values():
        np.testing.assert_array_equal(lesion_of(written, values), lesion_of(label, values))
    score = score_pair(label, written, spacing_mm=(1.0, 1.0, 1.0), protocol=protocol_of(named))
    assert all(score.values[f"dsc_{name}"] == 1.0 for name in named), "the audit of the prediction finds each region"


def test_nnu_net_s_order_decides_what_is_written():
    regions = Regions.of_protocol(protocol_of({"whole": (1, 2, 3), "core": (1, 3), "enhancing": (3,)}), order=(2, 1, 3))
    assert [region.written for region in regions.each] == [2, 1, 3]
    masks = np.array([[1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1]], dtype=bool)[:, :, None, None]
    # As nnU-Net writes them: one after the other, the last one holds.
    assert regions.decode(masks).ravel().tolist() == [2, 1, 3, 3]
    with pytest.raises(ConfigError, match=r"regions_class_order \[1, 2\]: has 2 values for 3 regions \(whole, core"):
        Regions.of_protocol(protocol_of(BRATS), order=(1, 2))
    with pytest.raises(ConfigError, match=r"region core is written as 1, which is none of its values \(2,3\)"):
        Regions.of_protocol(protocol_of(BRATS), order=(1, 1, 3))


def test_ignored_voxels_are_ignored_in_every_target():
    regions = Regions.of_protocol(protocol_of(BRATS, ignore=4))
    assert (regions.encode(VALUES)[:, 4] == IGNORED).all()
    assert regions.counts(VALUES).ravel().tolist() == [False, True, True, True, False]


def test_values_beyond_a_byte_are_written_as_they_are():
    regions = Regions.of_protocol(protocol_of({"left": (1001,), "right": (-3,)}))
    label = np.array([0, 1001, -3]).reshape(3, 1, 1)
    assert regions.decode(regions.encode(label) == 1).ravel().tolist() == [0, 1001, -3]


def test_a_description_survives():
    for regions in (LESION, Regions.of_values("any"), Regions.of_protocol(protocol_of(BRATS, ignore=9))):
        assert Regions.from_dict(regions.to_dict()) == regions
    assert None not in itertools.chain(LESION.to_dict().values())
    assert Regions.of_protocol(protocol_of(BRATS)).describe() == "whole = 1,2,3, core = 2,3, enhancing = 3"
    assert Regions.of_label([1, 2]) == Regions((Region("", (1, 2), 1),)), "as earlier checkpoints have it"
    assert Regions.of_label("any") == Regions.of_values("any")
    with pytest.raises(ConfigError, match="there is none"):
        Regions(())


def test_regions_that_overlap_without_nesting_are_given_back():
    regions = Regions((Region("a", (1, 2), 1), Region("b", (2, 3), 3)))
    label = np.array([[[0, 1, 2, 3]]], dtype=np.uint8)
    np.testing.assert_array_equal(regions.decode(regions.encode(label) == 1), label)


def test_more_regions_than_a_network_can_tell_apart_are_refused():
    many = tuple(Region(f"r{value}", (value,), value) for value in range(1, 18))
    with pytest.raises(ConfigError, match="17 are more than the 16 that can be trained together"):
        Regions(many)
