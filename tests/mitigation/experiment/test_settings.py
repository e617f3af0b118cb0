"""Settings from options and files: defaults, kinds, contradictions, and what may change when a run goes on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import tomli_w

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from segfair.errors import ConfigError  # noqa: E402
from segfair.mitigation.experiment.settings import (  # noqa: E402
    MitigationSettings,
    check_resumable,
    load_settings,
    read_settings,
    with_earlier,
)
from segfair.mitigation.networks.backbones import NetworkConfig  # noqa: E402


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_settings_come_from_a_file_and_options_override_them(tmp_path: Path) -> None:
    path = written(tmp_path / "config.toml", 'epochs = 3\nstrategies = ["balanced"]\nlr = 0.1\n')
    settings = load_settings(path, {"epochs": 7}, out=tmp_path)
    assert (settings.epochs, settings.strategies, settings.lr) == (7, ("balanced",), 0.1)


def test_defaults_depend_on_whether_there_are_data(tmp_path: Path) -> None:
    phantom = MitigationSettings(tmp_path).complete()
    assert (phantom.epochs, phantom.lr, phantom.batch_size, phantom.spatial_size) == (10, 3e-3, 4, (32, 32, 32))
    assert (phantom.recipe, phantom.backbones, phantom.select) == ("paper", ("unet",), "ts")
    # With data most is left to the plan, which knows them.
    data = MitigationSettings(tmp_path, data=tmp_path).complete()
    assert (data.recipe, data.backbones, data.select) == ("strong", ("resenc",), "ema")
    assert (data.epochs, data.batch_size, data.spatial_size, data.spacing_mm) == (None, None, None, None)
    assert (data.learning_rate("resenc"), data.learning_rate("swinunetr")) == (3e-3, 5e-4)
    paper = MitigationSettings(tmp_path, data=tmp_path, recipe="paper").complete()
    assert (paper.backbones, paper.select, paper.learning_rate("unet")) == (("unet",), "ts", 1e-4)


def test_validation_cases_are_set_aside_where_something_looks_at_them(tmp_path: Path) -> None:
    def validates(**settings: Any) -> bool:
        return MitigationSettings(tmp_path, data=tmp_path, **settings).complete().validates

    assert validates(strategies=("fairmedseg",))
    assert validates(strategies=("erm",), select="dice")
    assert validates(strategies=("erm",), recipe="paper")
    assert not validates(strategies=("erm", "balanced"))
    assert not validates(strategies=("erm", "balanced"), select="last")


def test_widths_are_the_papers_with_data_the_small_ones_without_and_each_can_be_changed(tmp_path: Path) -> None:
    small, paper = MitigationSettings(tmp_path), MitigationSettings(tmp_path, data=tmp_path)
    assert small.network_config("segresnet") == NetworkConfig.small("segresnet")
    assert paper.network_config("segresnet") == NetworkConfig.paper("segresnet")
    path = written(tmp_path / "c.toml", "[network.unet]\nchannels = [4, 8]\n[network.swinunetr]\nfeature_size = 24\n")
    changed = load_settings(path, {"data": tmp_path}, out=tmp_path)
    assert changed.network_config("unet") == NetworkConfig.paper("unet", channels=(4, 8))
    assert changed.network_config("swinunetr") == NetworkConfig.paper("swinunetr", feature_size=24)
    assert changed.network_config("segresnet") == NetworkConfig.paper("segresnet")


def test_what_a_run_writes_down_is_what_it_reads(tmp_path: Path) -> None:
    settings = MitigationSettings(
        tmp_path,
        data=tmp_path / "data",
        network={"unet": {"channels": (4, 8)}},
        attributes=("age", "site"),
        alpha="auto",
        seed=4,
        resume=True,
    ).complete()
    path = written(tmp_path / "config.toml", tomli_w.dumps(settings.to_dict()))
    # Going on is asked for each time anew.
    assert load_settings(path, {}, out=tmp_path) == dataclasses.replace(settings, resume=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "unknown key epoch; known are alpha"),
        ("epochs = 3\n]", "not TOML"),
        ('epochs = "three"', "epochs: expected a whole number of at least 1, got 'three'"),
        ("epochs = 0", "epochs: expected a whole number of at least 1, got 0"),
        ("epochs = true", "epochs: expected a whole number of at least 1, got True"),
        ("seed = -1", "seed: expected a whole number of at least 0"),
        ("lr = 0", "lr: expected a number above 0"),
        ("min_support = 2.0", "min_support: expected a share"),
        ('backbones = "unet"', "backbones: expected a list of names, got 'unet'"),
        ("spatial_size = [32]", "spatial_size: expected two or three whole numbers"),
        ("spacing_mm = [1.0, 0.0, 1.0]", "spacing_mm: expected two or three numbers above 0"),
        ('loss = "mse"', "loss: expected one of dice-ce, dice-focal, got 'mse'"),
        ('amp = "yes"', "amp: expected true or false, got 'yes'"),
        ("alpha = 7.0", r"alpha 7: lies in \[0, 1\] or is auto"),
        ("data = 3", "data: expected a path"),
        ("network = 3", "network: expected tables such as"),
        (
            "[network]\nchannels = [4, 8]",
            "network.channels: expected a table for one of unet, resenc, segresnet, swinunetr",
        ),
        ("[network.unet]\nwidth = 3", "backbone unet: unknown option width; known are channels"),
        ("[network.unet]\nin_channels = 3", "backbone unet: unknown option in_channels"),
        ('[network.unet]\nchannels = "wide"', "backbone unet: channels must be a list of numbers, got 'wide'"),
        ('device = "gpu"', "--device gpu: expected auto, cpu, cuda or cuda:N"),
        ("phases = 2", "--phases 2: the embedded phantom has 3"),
        ('metadata = "table.csv"', "--metadata: belongs to DATA"),
        (
            'strategies = ["one-shot"]',
            "--strategy one-shot: .* make them with segfair weights and name them with --weights",
        ),
        ('strategies = ["oracle"]', "--strategy oracle: has to be told a subgroup; name it with --oracle COLUMN=LEVEL"),
        ('[oracle]\nsite = "a"', "--oracle: only --strategy oracle is told a subgroup"),
        (
            'strategies = ["balanced"]\nfeedback = "training"',
            r"--feedback, --aggregate and \[weights\]: are of fairmedseg, fairmedseg-mean1, divergence-sampling, adaptive",
        ),
        (
            '[weights]\naggregate = "median"',
            r"--strategy adaptive-sampling with \[weights\], aggregate: expected max or mean or shapley, got 'median'",
        ),
        ("[weights]\nheat = 3", r"\[weights\].*heat"),
        (
            'strategies = ["divergence-sampling"]\n[weights]\ntemperature = "cold"',
            r"\[weights\], temperature: expected",
        ),
        ('device = "cpu"\namp = true', "--amp: half precision needs a GPU, the device is cpu"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_the_key_and_what_it_takes(
    text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        load_settings(written(tmp_path / "config.toml", text), {}, out=tmp_path)


def test_an_option_changes_one_key_of_the_weights(tmp_path: Path) -> None:
    path = written(tmp_path / "config.toml", "[weights]\ntemperature = 3.0\naggregate = 'shapley'\n")
    strategies = {"strategies": ("divergence-sampling",)}
    settings = load_settings(path, {"weights": {"aggregate": "mean"}, **strategies}, out=tmp_path)
    assert settings.weights == {"temperature": 3.0, "aggregate": "mean"}
    assert settings.to_dict()["weights"] == {"temperature": 3.0, "aggregate": "mean"}


@pytest.mark.parametrize(
    ("strategy", "weights", "refused"),
    [
        # The equations to the letter know no mean of 1, whatever else is trained.
        ("fairmedseg", {"temperature": 10.0}, "set normalise = true"),
        ("fairmedseg", {"temperature": 10.0, "normalise": True}, ""),
        ("fairmedseg-mean1", {"temperature": 10.0}, ""),
        ("divergence-sampling", {"normalise": False, "cap": None}, "needs weights of mean 1"),
        ("divergence-sampling", {"cap": None}, ""),
        ("adaptive-sampling", {"cap": None}, "a temperature that sets itself needs a cap"),
    ],
)
def test_weights_are_held_against_the_rule_of_each_strategy(
    strategy: str, weights: dict[str, Any], refused: str, tmp_path: Path
) -> None:
    for others in ((), ("divergence-sampling",) if weights.keys() == {"temperature"} else ()):
        settings = MitigationSettings(tmp_path, strategies=(*others, strategy), weights=weights)
        if refused:
            with pytest.raises(ConfigError, match=rf"^--strategy {strategy} with \[weights\].*{refused}"):
                settings.complete()
        else:
            assert settings.complete().weights == weights


def test_adaptive_sampling_has_another_rule_for_each_whose_divergences_it_follows(tmp_path: Path) -> None:
    # Without a fallback, weights may be those of the equations; only the rule for training cases has one.
    weights = {"normalise": False, "temperature": None, "cap": None}
    settings = MitigationSettings(tmp_path, strategies=("adaptive-sampling",), weights=weights)
    assert dataclasses.replace(settings, feedback="validation").complete().weights == weights
    with pytest.raises(ConfigError, match=r"adaptive-sampling .* fallback"):
        settings.complete()


def test_no_weights_are_none(tmp_path: Path) -> None:
    assert load_settings(None, {"weights": None}, out=tmp_path).weights == {}


def test_validation_cases_are_set_aside_where_feedback_asks_for_them(tmp_path: Path) -> None:
    def validates(**given: Any) -> bool:
        return MitigationSettings(tmp_path, data=tmp_path, device="cpu", **given).complete().validates

    assert not validates(strategies=("divergence-sampling",))
    assert validates(strategies=("divergence-sampling",), feedback="validation")
    assert validates(strategies=("fairmedseg",))
    assert not validates(strategies=("fairmedseg",), feedback="training")


def test_weights_that_nobody_draws_by_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--weights: only --strategy one-shot draws by them"):
        MitigationSettings(tmp_path, one_shot_weights={"a": 1.0}).complete()


@pytest.mark.parametrize(
    "name", sorted({entry.name for entry in dataclasses.fields(MitigationSettings)} - {"one_shot_weights"})
)
def test_every_setting_has_a_kind(name: str, tmp_path: Path) -> None:
    nothing = dataclasses.replace(MitigationSettings(tmp_path), **{name: object()})
    with pytest.raises(ConfigError, match=f"^{name}: expected .*, got <object"):
        nothing.complete()


OTHER: dict[str, Any] = {
    "network": {"unet": {"channels": (4, 8)}},
    "epochs": 3,
    "batch_size": 2,
    "lr": 0.5,
    "spatial_size": (16, 16, 16),
    "samples_per_case": 2,
    "attributes": ("site",),
    "join": ("site: a = b",),
    "subject_column": "patient",
    "alpha": 0.7,
    "min_support": 0.5,
    "loss": "dice-focal",
    "outcome": "ps",
    "feedback": "training",
    "weights": {"aggregate": "mean"},
    "spacing_mm": (2.0, 2.0, 2.0),
    "phases": 2,
    "seed": 9,
    "bias": False,
}
FREE: dict[str, Any] = {
    "workers": 2,
    "strategies": ("erm", "balanced"),
    "baseline": False,
    "cache": Path("elsewhere"),
    "title": "Trial",
}


@pytest.fixture
def begun(tmp_path: Path) -> MitigationSettings:
    settings = MitigationSettings(tmp_path, data=tmp_path, device="cpu").complete()
    written(tmp_path / "config.toml", tomli_w.dumps(settings.to_dict()))
    return settings


@pytest.mark.parametrize("name", OTHER)
def test_a_run_does_not_go_on_with_another_setting(name: str, begun: MitigationSettings) -> None:
    changed = dataclasses.replace(begun, **{name: OTHER[name]})
    with pytest.raises(ConfigError, match=rf"--resume: .*config.toml has {name} = .*, now it is .*give the same"):
        check_resumable(changed, begun.out / "config.toml")


@pytest.mark.parametrize("name", FREE)
def test_where_it_runs_and_further_models_may_change(name: str, begun: MitigationSettings) -> None:
    check_resumable(dataclasses.replace(begun, **{name: FREE[name]}), begun.out / "config.toml")


def test_a_run_goes_on_where_the_tracker_of_before_is_not_installed(
    begun: MitigationSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(begun.out / "config.toml", tomli_w.dumps({**begun.to_dict(), "log": ["wandb"]}))
    monkeypatch.setattr("segfair.mitigation.training.trackers.find_spec", lambda _: None)
    check_resumable(begun, begun.out / "config.toml")
    with pytest.raises(ConfigError, match="--log wandb: wandb is not installed"):
        dataclasses.replace(begun, log=("wandb",)).complete()


def test_without_an_earlier_run_there_is_nothing_to_compare(begun: MitigationSettings, tmp_path: Path) -> None:
    check_resumable(begun, tmp_path / "absent.toml")
    check_resumable(begun, begun.out / "config.toml")
    assert "epochs" not in read_settings(begun.out / "config.toml"), "left to the plan"


def test_a_join_that_is_none_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--join 'site: a': no level behind an equal sign"):
        MitigationSettings(tmp_path, join=("site: a",)).complete()
    settings = MitigationSettings(tmp_path, join=("site: a = b", "site: c = b")).complete()
    assert [join.texts for join in settings.audit_config.join] == [("a",), ("c",)]
    assert settings.to_dict()["join"] == ["site: a = b", "site: c = b"]


def test_equal_names_are_trained_once(tmp_path: Path) -> None:
    settings = MitigationSettings(tmp_path, backbones=("unet", "unet"), strategies=("erm", "erm")).complete()
    assert (settings.backbones, settings.strategies) == (("unet",), ("erm",))


def test_a_run_that_goes_on_takes_what_was_planned(tmp_path: Path) -> None:
    begun = MitigationSettings(
        tmp_path, data=tmp_path, epochs=7, spatial_size=(64, 64), network={"resenc": {"stem": 2}}
    )
    path = written(tmp_path / "config.toml", tomli_w.dumps(begun.complete().to_dict()))
    again = MitigationSettings(tmp_path, data=tmp_path, resume=True).complete()
    taken = with_earlier(again, path)
    assert (taken.epochs, taken.spatial_size, taken.network["resenc"]["stem"]) == (7, (64, 64), 2)
    check_resumable(taken, path)
    # What is said now holds, and is compared.
    other = with_earlier(dataclasses.replace(again, epochs=9), path)
    with pytest.raises(ConfigError, match="has epochs = 7, now it is 9"):
        check_resumable(other, path)
    assert with_earlier(again, tmp_path / "absent.toml") == again


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"select": "best"}, "select: expected"),
        ({"recipe": "weak"}, "recipe: expected"),
        ({"folds": 1}, "folds: expected a whole number of at least 2"),
        ({"select": "ema", "average": 0.0}, "keeps the average of the weights, and average is 0; use last"),
        ({"backbones": ("vnet",)}, "--backbone vnet: expected one of unet, resenc"),
    ],
)
def test_choices_that_cannot_be(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MitigationSettings(tmp_path, data=tmp_path, **settings).complete()


def test_folds_belong_to_data(tmp_path: Path) -> None:
    for name, value in (("folds", 5), ("splits", "fold"), ("modality", "ct")):
        with pytest.raises(ConfigError, match=f"--{name}: belongs to DATA"):
            MitigationSettings(tmp_path, **{name: value}).complete()


def test_another_recipe_or_size_takes_back_what_followed_from_the_old_one(tmp_path: Path) -> None:
    paper = MitigationSettings(tmp_path, data=tmp_path, recipe="paper", spatial_size=(64, 64, 64), samples_per_case=2)
    path = written(tmp_path / "c.toml", tomli_w.dumps(paper.complete().to_dict()))
    strong = load_settings(path, {"recipe": "strong"}, out=tmp_path)
    assert (strong.backbones, strong.select, strong.test_flips, strong.spatial_size) == (("resenc",), "ema", True, None)
    assert load_settings(path, {"spatial_size": (32, 32, 32)}, out=tmp_path).samples_per_case is None
    assert load_settings(path, {"epochs": 3}, out=tmp_path).samples_per_case == 2


def test_without_averaging_the_last_weights_are_kept(tmp_path: Path) -> None:
    settings = MitigationSettings(tmp_path, data=tmp_path, average=0.0).complete()
    assert settings.select == "last"
    assert settings.complete() == settings
    with pytest.raises(ConfigError, match="--seeds: belongs to DATA and --folds"):
        MitigationSettings(tmp_path, seeds=2).complete()


def test_a_run_of_an_older_version_is_gone_on_with(tmp_path: Path) -> None:
    tree = MitigationSettings(tmp_path).complete().to_dict()
    for newer in ("recipe", "select", "test_flips", "augmentation", "flip_axes", "protocol", "seeds"):
        tree.pop(newer, None)
    path = written(tmp_path / "config.toml", tomli_w.dumps(tree))
    check_resumable(MitigationSettings(tmp_path, resume=True).complete(), path)
