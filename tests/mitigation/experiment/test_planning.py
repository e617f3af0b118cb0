"""Plans for data sets of several kinds: what is planned and why, and that nothing the user has set is touched."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("monai")

from segfair.errors import ConfigError
from segfair.mitigation.data.fingerprint import Fingerprint
from segfair.mitigation.data.preprocessing import Intensities
from segfair.mitigation.experiment import planning
from segfair.mitigation.experiment.planning import plan_training
from segfair.mitigation.experiment.settings import MitigationSettings
from segfair.mitigation.networks.backbones import check_shape


def fingerprint(
    size: tuple[int, ...], spacing: tuple[float, ...], *, n: int = 100, spread: float = 0.0, **more: Any
) -> Fingerprint:
    rng = np.random.default_rng(0)
    sizes = np.rint(np.array(size) * (1 + spread * rng.uniform(-1, 1, (n, 3)))).astype(np.int64)
    sizes[:, np.array(size) == 1] = 1
    facts: dict[str, Any] = {"modality": "other", "has_size": True, **more}
    return Fingerprint(n, n, sizes=np.maximum(1, sizes), spacings=np.tile(np.array(spacing), (n, 1)), **facts)


def planned(found: Fingerprint, *, n_training: int = 80, **settings: Any) -> tuple[MitigationSettings, str]:
    chosen = MitigationSettings(Path("out"), data=Path("data"), device="cpu", phases=1, **settings).complete()
    # Nothing is computed on it: a plan for a GPU needs none.
    chosen = dataclasses.replace(chosen, device=settings.get("machine", "cpu"))
    plan, reasons = plan_training(chosen, found, n_training=n_training)
    for backbone in plan.networks:
        check_shape(plan.network_config(backbone), plan.spatial_size or ())
    return plan, "\n".join(reasons)


def on_gpu(found: Fingerprint, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> tuple[MitigationSettings, str]:
    monkeypatch.setattr(planning, "available_memory", lambda _device: 80 * 2**30)
    chosen = MitigationSettings(Path("out"), data=Path("data"), device="cpu", phases=1, **settings).complete()
    chosen = dataclasses.replace(chosen, device="cuda")
    plan, reasons = plan_training(chosen, found, n_training=80)
    for backbone in plan.networks:
        check_shape(plan.network_config(backbone), plan.spatial_size or ())
    return plan, "\n".join(reasons)


def test_pictures_on_a_processor_are_made_coarser_and_trained_whole() -> None:
    plan, reasons = planned(fingerprint((160, 120, 1), (1, 1, 1), has_size=False), n_training=1500)
    factor = (160 * 120 / 80**2) ** 0.5
    assert plan.spacing_mm == pytest.approx((factor, factor), abs=0.01)
    assert plan.samples_per_case is None
    assert plan.spatial_size == (96, 80)
    assert (plan.batch_size, plan.epochs, plan.augmentation) == (16, 14, "light")
    assert plan.flip_axes == ("x",)
    assert plan.network["resenc"]["channels"] == (16, 32, 64, 128)
    assert plan.network["resenc"]["stem"] == 2
    assert "1.7 times coarser for a processor" in reasons
    assert "whole images: the largest along each axis" in reasons


def test_volumes_on_a_gpu_keep_their_spacing_and_are_cut_into_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, reasons = on_gpu(fingerprint((320, 320, 200), (0.7, 0.7, 1.0), spread=0.2), monkeypatch)
    assert plan.spacing_mm == (0.7, 0.7, 1.0)
    assert plan.samples_per_case == 1
    assert np.prod(plan.spatial_size or ()) <= 1.3 * 128**3
    assert plan.network["resenc"]["channels"][:2] == (32, 64)
    assert plan.network["resenc"]["stem"] == 1
    assert plan.augmentation == "strong"
    assert plan.flip_axes == ("x", "y", "z")
    assert "patches, around a lesion" in reasons


def test_thick_slices_are_halved_late_and_take_the_tenth_percentile(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fingerprint((256, 256, 24), (0.5, 0.5, 5.0))
    thick = found.spacings.copy()
    thick[:20, 2] = 3.0
    plan, reasons = on_gpu(dataclasses.replace(found, spacings=thick), monkeypatch)
    assert plan.spacing_mm == (0.5, 0.5, 3.0)
    assert "tenth percentile" in reasons
    strides = plan.network["resenc"]["strides"]
    assert strides[0] == (2, 2, 1)
    assert (2, 2, 2) in strides


def test_ct_is_standardised_by_the_data_set() -> None:
    intensities = Intensities((0.0,), (100.0,), (50.0,), (20.0,))
    plan, reasons = planned(fingerprint((40, 40, 40), (1, 1, 1), modality="ct", intensities=intensities))
    assert plan.normalise == "ct"
    assert "CT: clipped to the .5th and 99.5th percentile" in reasons
    assert planned(fingerprint((40, 40, 40), (1, 1, 1)))[0].normalise == "case"


def test_few_cases_are_seen_often_and_strongly_changed() -> None:
    plan, _ = planned(fingerprint((40, 40, 40), (1, 1, 1)), n_training=24)
    assert (plan.epochs, plan.batch_size, plan.augmentation) == (100, 2, "strong")


def test_the_papers_recipe_is_the_papers() -> None:
    plan, reasons = planned(fingerprint((300, 300, 100), (0.8, 0.8, 2.0)), recipe="paper", network={})
    assert (plan.spacing_mm, plan.spatial_size, plan.epochs) == ((1.0, 1.0, 1.0), (320, 320, 128), 100)
    assert (plan.augmentation, plan.batch_size, plan.learning_rate("unet")) == ("paper", 1, 1e-4)
    assert plan.network_config("unet").options["channels"] == (16, 32, 64, 128, 256)
    assert "the paper's" in reasons


def test_what_the_user_has_set_is_not_planned() -> None:
    given: dict[str, Any] = {
        "spacing_mm": (2.0, 2.0),
        "spatial_size": (64, 48),
        "batch_size": 5,
        "epochs": 3,
        "augmentation": "paper",
        "flip_axes": ("y",),
        "normalise": "phase",
        "network": {"resenc": {"channels": (8, 16, 32)}},
    }
    plan, reasons = planned(fingerprint((160, 120, 1), (1, 1, 1)), **given)
    for name, value in given.items():
        if name != "network":
            assert getattr(plan, name) == value
    assert plan.network["resenc"]["channels"] == (8, 16, 32)
    assert "planned epochs" not in reasons


def test_a_size_that_no_network_halves_is_rounded_up() -> None:
    plan, reasons = planned(fingerprint((46, 46, 46), (1, 1, 1)), backbones=("unet", "segresnet"))
    assert "rounded up to what the network halves" in reasons
    assert all(side % 8 == 0 for side in plan.spatial_size or ())


def test_numbers_of_another_length_are_mended_or_named() -> None:
    plan, _ = planned(fingerprint((160, 120, 1), (1, 1, 1)), spacing_mm=(2.0, 2.0, 1.0), spatial_size=(80, 64, 1))
    assert (plan.spacing_mm, plan.spatial_size) == ((2.0, 2.0), (80, 64))
    for name, value, option in (
        ("spacing_mm", (1.0, 1.0), "--spacing 1.0 1.0"),
        ("spatial_size", (32, 32), "--spatial-size"),
    ):
        with pytest.raises(ConfigError, match=f"{option}.*: the images are volumes; three numbers are needed"):
            planned(fingerprint((40, 40, 40), (1, 1, 1)), **{name: value})


def test_a_size_that_is_asked_for_is_not_made_coarser() -> None:
    plan, _ = planned(fingerprint((160, 160, 1), (1, 1, 1)), spatial_size=(160, 160))
    assert plan.spacing_mm == (1.0, 1.0)


def test_patches_are_counted_where_memory_is_and_shrink_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fingerprint((320, 320, 200), (0.7, 0.7, 1.0), spread=0.2)
    monkeypatch.setattr(planning, "available_memory", lambda _device: 4 * 2**30)
    chosen = MitigationSettings(Path("out"), data=Path("data"), device="cpu", samples_per_case=4).complete()
    plan, reasons = plan_training(dataclasses.replace(chosen, device="cuda"), found, n_training=80)
    need = planning.estimate_memory(plan.network_config("resenc"), plan.spatial_size or (), batch_size=4, device="cuda")
    assert plan.batch_size == 1
    assert need <= 4 * 2**30
    assert any("patches that the memory holds" in reason for reason in reasons)


def test_strides_of_planar_networks_are_taken_before_anything_is_planned(tmp_path: Path) -> None:
    table = {"resenc": {"channels": (8, 16, 16), "strides": ((2, 2), (2, 1))}}
    plan, _ = planned(fingerprint((160, 120, 1), (1, 1, 1)), network=table)
    assert plan.network_config("resenc").multiples == (8, 4)
