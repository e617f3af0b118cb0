"""What a mitigation is told to do: from options and a TOML file to settings that hold together.

Checks every value before data are read; knows nothing of data or training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

import cattrs

from segfair.attributes.binning import readings_of
from segfair.attributes.fit import parse_bins
from segfair.attributes.joins import joins_of, parse_join
from segfair.audit.result import AuditConfig
from segfair.documents import read_toml
from segfair.errors import ConfigError
from segfair.mitigation.data.augmentation import Strength
from segfair.mitigation.networks.backbones import BACKBONES, Backbone, NetworkConfig, Size
from segfair.mitigation.networks.devices import find_device
from segfair.mitigation.training.catalogue import (
    RECIPES,
    SELECTIONS,
    STRATEGIES,
    Feedback,
    OptimiserName,
    Recipe,
    RecipeName,
    ScheduleName,
    Selection,
)
from segfair.mitigation.training.objectives import LossName
from segfair.mitigation.training.strategies.kinds import rule_of
from segfair.mitigation.training.trackers import check_trackers
from segfair.mitigation.weighting.reweighter import WeightRule
from segfair.phantom import PHASES
from segfair.protocol.rules import load_protocol
from segfair.trees import Kind, structure, tree_converter

__all__ = [
    "WORST_MIN_CASES",
    "MitigationSettings",
    "check_resumable",
    "load_settings",
    "read_settings",
    "with_earlier",
]

Count = Annotated[int, Kind("a whole number of at least 1", lambda value: value >= 1)]
Natural = Annotated[int, Kind("a whole number of at least 0", lambda value: value >= 0)]
_NAMES = Kind("a list of names", bool)
Names = Annotated[tuple[str, ...], _NAMES]
Spacing = tuple[float, ...]
Positive = Annotated[float, Kind("a number above 0", lambda value: value > 0)]
Share = Annotated[float, Kind("a share from 0 to 1", lambda value: 0 <= value <= 1)]
Axes = Annotated[tuple[Literal["x", "y", "z"], ...], Kind("axes such as x, y and z")]

WORST_MIN_CASES = 5
"""Fewest cases of a subgroup that can be the worst one."""

PLANNED = (
    "spacing_mm",
    "normalise",
    "spatial_size",
    "samples_per_case",
    "batch_size",
    "epochs",
    "augmentation",
    "flip_axes",
)
"""What a plan fills in where it is open."""

_FREE_ON_RESUME = {
    "out",
    "data",
    "metadata",
    "cache",
    "device",
    "amp",
    "workers",
    "strategies",
    "baseline",
    "log",
    "title",
}
"""What may change when a run goes on: where it runs and things lie, who is told, its title, further strategies."""


@dataclass(frozen=True, slots=True)
class MitigationSettings:
    """Settings of a mitigation; None where the default depends on whether data were handed in.

    Attributes:
        out: Folder of everything.
        data: Data set; None: the embedded phantom.
        metadata: Its table; None: the one in its folder.
        backbones, strategies: What to train; the plain baseline is added unless `baseline` is off. Without a backbone
            "resenc" by the recipe "strong", else "unet".
        network: Backbone -> widths and depths that differ from its defaults, see `NetworkConfig`.
        recipe: How networks are trained; None: "strong" with data, "paper" without.
        optimiser, schedule, weight_decay, average, select, augmentation, test_flips: What differs from the recipe; see
            `Recipe`.
        flip_axes: Axes along which images are flipped, in training and where `test_flips` says so.
        keep_largest: Whether the largest connected part of a predicted mask alone is kept.
        compiled: Whether networks are compiled first.
        init: Checkpoint to start from instead of random weights.
        folds: Number of folds; None: one split into three sets, unless `splits` names folds.
        splits: A file, or a column, of a split or of folds that are given; None: they are drawn.
        seeds: Trainings of each model, with different seeds; only with folds.
        mean_margin: Loss of mean Dice from which on the mean is not called unchanged; only with folds.
        epochs, batch_size, lr: Budget of every model.
        validate_every: Epochs between two validations.
        validation_cases: Most validation cases; the others train.
        modality: "ct" or "other"; None: by the values of the images.
        normalise: How grey values are standardised, see `Preprocessing`; None: by the modality.
        spatial_size: Voxels that the network sees; with `samples_per_case` those of a patch.
        samples_per_case: Patches a case; None: whole volumes.
        protocol: Scoring rules: the name of a protocol, or its TOML file.
        label: Which voxels count, as `--label` takes them; None: what the protocol's file or the data set says.
        attributes: Metadata columns; None: every usable one (phantom: age group, menopause, density).
        bins: Columns and their edges, as `--bins` takes them.
        categorical, ordered, numeric: Columns that are read so.
        join: Texts of a column that are taken as one level, as `--join` takes them.
        id_column, sheet: Of the table; None: the column, and the sheet, that hold most of the case ids.
        subject_column: Column that tells which cases are of one patient; None: a column of patients whose values
            repeat. "none": every case is a patient.
        cases, where: Which cases are used, as `--cases` and `--where` take them.
        alpha, min_support, loss, outcome: Of FairMedSeg and the divergences.
        feedback: Whose divergences strategies follow: of "training" cases, from the batches they are in, or of
            "validation" cases; None: what the catalogue says of each.
        weights: How divergences become weights, see `WeightRule`: what differs from the strategy's own rule.
        oracle: Attribute -> level of the subgroup that the strategy `oracle` is told.
        reduction: Whether FairMedSeg's Eq. 3 is the mean over a batch or the paper's sum.
        spacing_mm: Voxel size to resample to; None: 1 mm, or as stored where no file says how large a voxel is.
        phases: Phases of a case; None: those that the cases have.
        device: "auto", "cpu", "cuda" or "cuda:N".
        amp: Half precision; None: on a GPU.
        workers: Processes that prepare, load and score; 0: this one.
        cache: Folder of prepared volumes; None: in `out`.
        log: Trackers that are told the history of each training, see `TRACKERS`; None: none.
        title: What the mitigation is called, in the heading of every page.
        seed: Of split, initial weights and training; the phantom's cases too.
        resume: Go on where an earlier run in `out` stopped.
        overwrite: Remove the training that `out` holds.
        bias: Whether the phantom's planted subgroup looks different.
        one_shot_weights: Case weights from an earlier audit, for the strategy `one-shot`.
    """

    out: Path
    data: Path | None = None
    metadata: Path | None = None
    backbones: Names | None = None
    strategies: Names = ("adaptive-sampling",)
    baseline: bool = True
    network: Annotated[Mapping[str, Any], Kind("tables such as [network.unet]")] = field(default_factory=dict)
    recipe: RecipeName | None = None
    optimiser: OptimiserName | None = None
    schedule: ScheduleName | None = None
    weight_decay: Annotated[float, Kind("a number of at least 0", lambda value: value >= 0)] | None = None
    average: Share | None = None
    select: Selection | None = None
    augmentation: Strength | None = None
    test_flips: bool | None = None
    flip_axes: Axes | None = None
    keep_largest: bool = False
    compiled: bool = False
    init: Path | None = None
    folds: Annotated[int, Kind("a whole number of at least 2", lambda value: value >= 2)] | None = None
    splits: str | None = None
    seeds: Count = 1
    mean_margin: Positive = 0.01
    epochs: Count | None = None
    batch_size: Count | None = None
    lr: Positive | None = None
    validate_every: Count = 1
    validation_cases: Count | None = None
    modality: Literal["ct", "other"] | None = None
    normalise: Literal["case", "phase", "ct"] | None = None
    spatial_size: (
        Annotated[
            Size, Kind("two or three whole numbers from 1 on", lambda sides: len(sides) in (2, 3) and min(sides) >= 1)
        ]
        | None
    ) = None
    samples_per_case: Count | None = None
    protocol: str = "default"
    label: Names | None = None
    attributes: Names | None = None
    bins: Names | None = None
    categorical: Names | None = None
    ordered: Names | None = None
    numeric: Names | None = None
    join: Names | None = None
    id_column: str | None = None
    sheet: str | None = None
    subject_column: str | None = None
    cases: str | None = None
    where: str | None = None
    alpha: Annotated[float | Literal["auto"], Kind("a number in [0, 1], or auto")] = 0.2
    min_support: Annotated[float, Kind("a share above 0, at most 1", lambda value: 0 < value <= 1)] = 0.001
    loss: Annotated[LossName, Kind(f"one of {', '.join(get_args(LossName))}")] = "dice-ce"
    outcome: Literal["dsc", "ps"] = "dsc"
    feedback: Feedback | None = None
    weights: Annotated[Mapping[str, Any], Kind("a table such as [weights]")] = field(default_factory=dict)
    oracle: Annotated[Mapping[str, str], Kind("a table such as [oracle]")] = field(default_factory=dict)
    reduction: Literal["mean", "sum"] = "mean"
    spacing_mm: (
        Annotated[Spacing, Kind("two or three numbers above 0", lambda sides: len(sides) in (2, 3) and min(sides) > 0)]
        | None
    ) = None
    phases: Count | None = None
    device: str = "auto"
    amp: bool | None = None
    workers: Natural = 0
    cache: Path | None = None
    log: Names | None = None
    title: str = ""
    seed: Natural = 0
    resume: bool = False
    overwrite: bool = False
    bias: bool = True
    one_shot_weights: Mapping[str, float] = field(default_factory=dict, metadata={"in_file": False})

    def complete(self) -> MitigationSettings:
        """Every default filled in.

        Raises:
            ConfigError: Unknown names, values of the wrong kind, or settings that contradict each other.
        """
        given = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        weights = given.pop("one_shot_weights")
        read = structure(_converter, given, MitigationSettings, source="")
        return dataclasses.replace(read, one_shot_weights=weights)._filled()

    def _filled(self) -> MitigationSettings:
        """See `complete`; every value is of its kind."""
        self._check_choices()
        check_trackers(self.log or ())
        if self.resume and self.overwrite:
            raise ConfigError("--resume and --overwrite: go on with a training, or remove it; give one of them")
        joins_of(self.audit_config.join)
        device = find_device(self.device)
        if self.amp and not device.startswith("cuda"):
            raise ConfigError(
                f"--amp: half precision needs a GPU, the device is {device}; leave it out or use --no-amp"
            )
        self._check_weights()
        self._check_network()
        self._check_phantom()
        self._check_evidence()
        filled = dataclasses.replace(
            self,
            backbones=tuple(dict.fromkeys(self.networks)),
            strategies=tuple(dict.fromkeys(self.strategies)),
            recipe=self.recipe_name,
            select=self.select or self._usual_selection,
            test_flips=self.recipe_entry.test_flips if self.test_flips is None else self.test_flips,
            device=device,
            amp=device.startswith("cuda") if self.amp is None else self.amp,
        )
        return filled if self.data is not None else filled._for_phantom()

    def _for_phantom(self) -> MitigationSettings:
        """Without data the embedded phantom trains in minutes on a processor; nothing is left to plan."""
        transformer = "swinunetr" in self.networks
        return dataclasses.replace(
            self,
            epochs=self.epochs or (2 if transformer else 10),
            batch_size=self.batch_size or (2 if transformer else 4),
            lr=self.lr or 3e-3,
            phases=self.phases or len(PHASES),
            spacing_mm=self.spacing_mm or (1.0, 1.0, 1.0),
            spatial_size=self.spatial_size or ((64,) * 3 if transformer else (32,) * 3),
            augmentation=self.augmentation or self.recipe_entry.augmentation or "light",
            flip_axes=("x", "y", "z") if self.flip_axes is None else self.flip_axes,
        )

    @property
    def recipe_name(self) -> RecipeName:
        """The recipe that holds."""
        return self.recipe or ("paper" if self.data is None else "strong")

    @property
    def networks(self) -> tuple[str, ...]:
        """The backbones that are trained."""
        return self.backbones or ("resenc" if self.recipe_name == "strong" else "unet",)

    @property
    def recipe_entry(self) -> Recipe:
        """What the recipe says."""
        return RECIPES[self.recipe_name]

    @property
    def _usual_selection(self) -> Selection:
        """That of the recipe; without an average of the weights, the last ones in its place."""
        select = self.recipe_entry.select
        return "last" if select == "ema" and self.average == 0 else select

    def learning_rate(self, backbone: str) -> float:
        """The largest learning rate of a backbone."""
        recipe = self.recipe_entry
        return self.lr or (recipe.lr_transformer if backbone == "swinunetr" else recipe.lr)

    @property
    def followed(self) -> frozenset[Feedback]:
        """Whose divergences the strategies of the run follow."""
        own = (STRATEGIES[name].feedback for name in self.strategies)
        return frozenset(self.feedback or feedback for feedback in own if feedback is not None)

    @property
    def validates(self) -> bool:
        """Whether anything of the run learns from validation cases, or chooses by them."""
        return self.select not in ("ema", "last") or "validation" in self.followed

    @property
    def dims(self) -> int:
        """Axes that a network sees, as far as the settings tell: by the size, else by the strides of a network."""
        if self.spatial_size is not None:
            return len(self.spatial_size)
        strides = [
            table["strides"] for table in self.network.values() if isinstance(table, Mapping) and table.get("strides")
        ]
        return len(strides[0][0]) if strides else 3

    def network_config(self, backbone: str) -> NetworkConfig:
        """The backbone at the paper's widths with data, at the phantom's small ones without, changed by `network`.

        It takes the phases that were asked for, else as many as the phantom has, and finds one lesion; a study knows
        how many channels its data have and teach.

        Raises:
            ConfigError: Widths that the backbone cannot be built with.
        """
        make = NetworkConfig.paper if self.data is not None else NetworkConfig.small
        config = make(backbone, in_channels=self.phases or len(PHASES), out_channels=2)
        options = {**config.options, **self.network.get(backbone, {})}
        return dataclasses.replace(config, options=options, dims=self.dims)

    @property
    def audit_config(self) -> AuditConfig:
        """What the audits of the run are asked.

        Raises:
            ConfigError: No such protocol, or a text that is no label, bins or join.
        """
        return AuditConfig(
            load_protocol(self.protocol),
            labels=self.label or (),
            attributes=self.attributes,
            bins=dict(map(parse_bins, self.bins or ())),
            read_as=readings_of(
                categorical=self.categorical or (), ordered=self.ordered or (), numeric=self.numeric or ()
            ),
            join=tuple(map(parse_join, self.join or ())),
            subject_column=self.subject_column,
            seed=self.seed,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `config.toml`; what is None is left out, TOML has no word for it.

        The case weights are in a table of their own, and whether a run goes on is not a setting of its outcome.
        """
        return {
            name: value
            for name, value in _converter.unstructure(self).items()
            if value not in (None, {}) and name not in ("one_shot_weights", "resume", "overwrite")
        }

    def _check_choices(self) -> None:
        for name in self.networks:
            if name not in BACKBONES and ":" not in name:
                raise ConfigError(f"--backbone {name}: expected one of {', '.join(BACKBONES)}")
        for name in self.strategies:
            if name not in STRATEGIES:
                raise ConfigError(f"--strategy {name}: expected one of {', '.join(STRATEGIES)}")
        if self.alpha != "auto" and not 0 <= self.alpha <= 1:
            raise ConfigError(f"--alpha {self.alpha:g}: lies in [0, 1] or is auto")

    def _check_weights(self) -> None:
        self._check_rule()
        if "oracle" in self.strategies and not self.oracle:
            raise ConfigError("--strategy oracle: has to be told a subgroup; name it with --oracle COLUMN=LEVEL")
        if self.oracle and "oracle" not in self.strategies:
            raise ConfigError("--oracle: only --strategy oracle is told a subgroup; name it as well")
        if "one-shot" in self.strategies and not self.one_shot_weights:
            raise ConfigError(
                "--strategy one-shot: draws by weights made beforehand; make them with segfair weights "
                "and name them with --weights"
            )
        if self.one_shot_weights and "one-shot" not in self.strategies:
            raise ConfigError("--weights: only --strategy one-shot draws by them; name it as well")

    def _check_rule(self) -> None:
        """What is set of the weights, whatever rule it changes."""
        follow = [name for name in self.strategies if STRATEGIES[name].feedback is not None]
        if (self.weights or self.feedback) and not follow:
            known = ", ".join(name for name, entry in STRATEGIES.items() if entry.feedback is not None)
            raise ConfigError(f"--feedback, --aggregate and [weights]: are of {known}; name one of them (--strategy)")
        if not self.weights:
            return
        for name in follow:
            rule = dataclasses.asdict(cast(WeightRule, rule_of(name, self.feedback)))
            structure(_converter, {**rule, **self.weights}, WeightRule, source=f"--strategy {name} with [weights]")

    def _check_network(self) -> None:
        for backbone, widths in self.network.items():
            if (backbone not in BACKBONES and ":" not in backbone) or not isinstance(widths, Mapping):
                raise ConfigError(
                    f"network.{backbone}: expected a table for one of {', '.join(BACKBONES)}, for example "
                    "[network.unet] with channels = [8, 16, 32]"
                )
        for backbone in self.networks:
            self.network_config(backbone)

    def _check_evidence(self) -> None:
        if self.select is not None and self.select not in SELECTIONS:
            raise ConfigError(f"--select {self.select}: expected one of {', '.join(SELECTIONS)}")
        if self.average == 0 and self.select == "ema":
            raise ConfigError("--select ema: keeps the average of the weights, and average is 0; use last")

    def _check_phantom(self) -> None:
        """What only a data set can have; with one there is nothing to refuse."""
        if self.data is not None:
            return
        if self.metadata is not None:
            raise ConfigError("--metadata: belongs to DATA, and there is none; name the data set as well")
        if self.seeds > 1:
            raise ConfigError("--seeds: belongs to DATA and --folds, and there is none; name the data set as well")
        for name in ("label", "cases", "where", "folds", "splits", "modality", "normalise", "validation_cases"):
            if getattr(self, name) is not None:
                raise ConfigError(
                    f"--{name.replace('_', '-')}: belongs to DATA, and there is none; name the data set as well"
                )
        if self.phases not in (None, len(PHASES)):
            raise ConfigError(
                f"--phases {self.phases}: the embedded phantom has {len(PHASES)}; name a data set, or leave it out"
            )


def load_settings(path: Path | None, given: Mapping[str, Any], *, out: Path) -> MitigationSettings:
    """Settings from a TOML file, overridden by what was given.

    Raises:
        ConfigError: An unreadable file, an unknown key, or a value of the wrong kind.
    """
    values = {} if path is None else _without_consequences(read_settings(path), given)
    weights = {**values.get("weights", {}), **(given.get("weights") or {})}
    values = {**values, **given, "out": out, "weights": weights}
    if isinstance(values.get("alpha"), str) and values["alpha"] != "auto":
        try:
            values["alpha"] = float(values["alpha"])
        except ValueError:
            raise ConfigError(f"--alpha {values['alpha']}: lies in [0, 1] or is auto") from None
    try:
        return MitigationSettings(**values).complete()
    except ConfigError as error:
        if path is None or str(error).startswith("--"):
            raise
        raise ConfigError(f"--config {path}: {error}") from error


def _without_consequences(values: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A file's settings without those that followed from one which is now another."""
    if "recipe" in given and given["recipe"] != values.get("recipe"):
        followed = {"select", "test_flips", "backbones", "augmentation", *PLANNED}
        values = {name: value for name, value in values.items() if name not in followed}
    if "spatial_size" in given and "samples_per_case" not in given:
        values.pop("samples_per_case", None)
    return values


def read_settings(path: Path) -> dict[str, Any]:
    """Field -> value from a TOML file such as `config.toml`.

    Raises:
        ConfigError: An unreadable file, an unknown key, or a value of the wrong kind.
    """
    tree = read_toml(path, refusal=ConfigError, what=f"--config {path}")
    read = structure(_converter, {"out": "", **tree}, MitigationSettings, source=f"--config {path}")
    return {name: getattr(read, name) for name in tree}


def check_resumable(settings: MitigationSettings, path: Path) -> None:
    """Refuses to go on with other settings than those a run began with.

    Args:
        settings: What is asked for now.
        path: The earlier run's `config.toml`; without one there is nothing to compare.

    Raises:
        ConfigError: A setting that decides the outcome differs.
    """
    if not path.is_file():
        return
    # A run of an older version may lack a key; it then had the default. What only another machine has (a GPU, the
    # package of a tracker) is no reason to refuse.
    known = {**read_settings(path), "out": settings.out, "device": "cpu", "amp": None, "log": None}
    known["one_shot_weights"] = settings.one_shot_weights
    before = MitigationSettings(**known).complete().to_dict()
    now = settings.to_dict()
    for name in (entry.name for entry in dataclasses.fields(MitigationSettings)):
        if name not in _FREE_ON_RESUME and before.get(name) != now.get(name):
            raise ConfigError(
                f"--resume: {path} has {name} = {_told(before.get(name))}, now it is {_told(now.get(name))}; give the "
                f"same settings (--config {path}), or start anew with --overwrite in place of --resume"
            )


def with_earlier(settings: MitigationSettings, path: Path) -> MitigationSettings:
    """What is left open is what an earlier run has planned.

    Args:
        settings: What is asked for now.
        path: The earlier run's `config.toml`; without one nothing changes.
    """
    if not path.is_file():
        return settings
    before = read_settings(path)
    planned = {name: before[name] for name in PLANNED if name in before and not getattr(settings, name)}
    # Of a table of widths a part may have been given, and the rest planned.
    tables = {**before.get("network", {}), **settings.network}
    network = {name: {**before.get("network", {}).get(name, {}), **table} for name, table in tables.items()}
    return dataclasses.replace(settings, **planned | {"network": network})


def _as_tuples(value: Any) -> Any:
    """Tuples where TOML has lists."""
    if isinstance(value, Mapping):
        return {key: _as_tuples(part) for key, part in value.items()}
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def _told(value: Any) -> str:
    return "unset" if value is None else repr(value)


def _build_converter() -> cattrs.Converter:
    converter = tree_converter()
    converter.register_structure_hook(Any, lambda value, _: _as_tuples(value))
    # Which names there are is said once, for options and files alike; see `_check_choices`.
    converter.register_structure_hook_func(
        lambda kind: kind == Backbone, lambda value, _: converter.structure(value, str)
    )
    converter.register_structure_hook(
        float | Literal["auto"], lambda value, _: value if value == "auto" else converter.structure(value, float)
    )
    # Of a few words and numbers cattrs cannot tell which is meant.
    converter.register_structure_hook(
        float | Literal["auto", "spread"] | None,
        lambda value, _: value if value in ("auto", "spread", None) else converter.structure(value, float),
    )
    return converter


_converter = _build_converter()
