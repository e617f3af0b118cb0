"""What a mitigation is told to do: from options and a TOML file to settings that hold together.

Checks every value before data are read; knows nothing of data or training.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from segfair.attributes.binning import as_number
from segfair.errors import ConfigError, InputError
from segfair.files.cells import cell_text
from segfair.files.tables import load_table
from segfair.mitigation.networks.backbones import BACKBONES, Backbone, NetworkConfig
from segfair.mitigation.networks.devices import find_device
from segfair.mitigation.training.catalogue import STRATEGIES
from segfair.mitigation.training.objectives import LossName
from segfair.phantom import PHASES

__all__ = ["MitigationSettings", "Size", "check_resumable", "load_settings", "read_settings", "read_weights"]

Size = tuple[int, int, int]

_FREE_ON_RESUME = {
    *("resume", "out", "data", "metadata", "cache", "device", "amp", "workers", "strategies", "baseline"),
}
"""What may change when a run goes on: where it runs, where things lie, and further strategies."""


@dataclass(frozen=True, slots=True)
class MitigationSettings:
    """Settings of a mitigation; None where the default depends on whether data were handed in.

    Attributes:
        out: Folder of everything.
        data: Data set; None: the embedded phantom.
        metadata: Its table; None: the one in its folder.
        backbones, strategies: What to train; the plain baseline is added unless `baseline` is off.
        network: Backbone -> widths and depths that differ from its defaults, see `NetworkConfig`.
        epochs, batch_size, lr: Budget of every model.
        spatial_size: Voxels that the network sees; with `samples_per_case` those of a patch.
        samples_per_case: Patches a case; None: whole volumes.
        attributes: Metadata columns; None: every usable one (phantom: age group, menopause, density).
        id_column, sheet: Of the table; None: the column, and the sheet, that hold most of the case ids.
        subject_column: Column that tells which cases are of one patient.
        alpha, min_support, loss, outcome: Of FairMedSeg and the divergences.
        reduction: Whether FairMedSeg's Eq. 3 is the mean over a batch or the paper's sum.
        spacing_mm, phases: Preprocessing of data on disk.
        device: "auto", "cpu", "cuda" or "cuda:N".
        amp: Half precision; None: on a GPU.
        workers: Processes that prepare, load and score; 0: this one.
        cache: Folder of prepared volumes; None: in `out`.
        seed: Of split, initial weights and training; the phantom's cases too.
        resume: Go on where an earlier run in `out` stopped.
        bias: Whether the phantom's planted subgroup looks different.
        one_shot_weights: Case weights from an earlier audit, for the strategy `one-shot`.
    """

    out: Path
    data: Path | None = None
    metadata: Path | None = None
    backbones: tuple[Backbone, ...] = ("unet",)
    strategies: tuple[str, ...] = ("fairmedseg",)
    baseline: bool = True
    network: Mapping[Backbone, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    spatial_size: Size | None = None
    samples_per_case: int | None = None
    attributes: tuple[str, ...] | None = None
    id_column: str | None = None
    sheet: str | None = None
    subject_column: str | None = None
    alpha: float | Literal["auto"] = 0.2
    min_support: float = 0.001
    loss: LossName = "dice-ce"
    outcome: Literal["dsc", "ps"] = "dsc"
    reduction: Literal["mean", "sum"] = "mean"
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    phases: int = 3
    device: str = "auto"
    amp: bool | None = None
    workers: int = 0
    cache: Path | None = None
    seed: int = 0
    resume: bool = False
    bias: bool = True
    one_shot_weights: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def complete(self) -> MitigationSettings:
        """Every default filled in.

        Raises:
            ConfigError: Unknown names, values of the wrong kind, or settings that contradict each other.
        """
        for name in _KINDS:
            _check_kind(name, getattr(self, name))
        self._check_choices()
        device = find_device(self.device)
        if self.amp and not device.startswith("cuda"):
            raise ConfigError(
                f"--amp: half precision needs a GPU, the device is {device}; leave it out or use --no-amp"
            )
        self._check_weights()
        self._check_network()
        self._check_phantom()
        # Without data the embedded phantom trains in minutes on a processor; with data it is the paper's setting.
        large = self.data is not None
        transformer = "swinunetr" in self.backbones
        phantom_size = 64 if transformer else 32
        return dataclasses.replace(
            self,
            backbones=tuple(dict.fromkeys(self.backbones)),
            strategies=tuple(dict.fromkeys(self.strategies)),
            epochs=self.epochs or (100 if large else 2 if transformer else 10),
            batch_size=self.batch_size or (1 if large and not self.samples_per_case else 2 if transformer else 4),
            lr=self.lr or (1e-4 if large else 3e-3),
            spatial_size=self.spatial_size or ((320, 320, 128) if large else (phantom_size,) * 3),
            device=device,
            amp=device.startswith("cuda") if self.amp is None else self.amp,
        )

    def network_config(self, backbone: Backbone) -> NetworkConfig:
        """The backbone at the paper's widths with data, at the phantom's small ones without, changed by `network`.

        Raises:
            ConfigError: Widths that the backbone cannot be built with.
        """
        make = NetworkConfig.paper if self.data is not None else NetworkConfig.small
        # Two channels and a softmax: a single sigmoid starts slowly on small lesions and can stay empty.
        config = make(backbone, in_channels=self.phases, out_channels=2)
        return dataclasses.replace(config, options={**config.options, **self.network.get(backbone, {})})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `config.toml`; what is None is left out, TOML has no word for it.

        The case weights are in a table of their own, and whether a run goes on is not a setting of its outcome.
        """
        tree = {}
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if value is not None and entry.name not in ("one_shot_weights", "resume", "network"):
                tree[entry.name] = str(value) if isinstance(value, Path) else _plain(value)
        if self.network:
            # A table: TOML wants it after the plain values.
            tree["network"] = {
                backbone: {key: _plain(value) for key, value in widths.items()}
                for backbone, widths in self.network.items()
            }
        return tree

    def _check_choices(self) -> None:
        for option, chosen, known in (
            ("backbone", self.backbones, BACKBONES),
            ("strategy", self.strategies, STRATEGIES),
        ):
            for name in chosen:
                if name not in known:
                    raise ConfigError(f"--{option} {name}: expected one of {', '.join(known)}")
        if self.alpha != "auto" and not 0 <= self.alpha <= 1:
            raise ConfigError(f"--alpha {self.alpha:g}: lies in [0, 1] or is auto")

    def _check_weights(self) -> None:
        if "one-shot" in self.strategies and not self.one_shot_weights:
            raise ConfigError(
                "--strategy one-shot: draws by weights made beforehand; make them with segfair weights "
                "and name them with --weights"
            )
        if self.one_shot_weights and "one-shot" not in self.strategies:
            raise ConfigError("--weights: only --strategy one-shot draws by them; name it as well")

    def _check_network(self) -> None:
        for backbone, widths in self.network.items():
            if backbone not in BACKBONES or not isinstance(widths, Mapping):
                raise ConfigError(
                    f"network.{backbone}: expected a table for one of {', '.join(BACKBONES)}, for example "
                    "[network.unet] with channels = [8, 16, 32]"
                )
        for backbone in self.backbones:
            self.network_config(backbone)

    def _check_phantom(self) -> None:
        """What only a data set can have; with one there is nothing to refuse."""
        if self.data is not None:
            return
        if self.metadata is not None:
            raise ConfigError("--metadata: belongs to DATA, and there is none; name the data set as well")
        if self.phases != len(PHASES):
            raise ConfigError(
                f"--phases {self.phases}: the embedded phantom has {len(PHASES)}; name a data set, or leave it out"
            )


def load_settings(path: Path | None, given: Mapping[str, Any], *, out: Path) -> MitigationSettings:
    """Settings from a TOML file, overridden by what was given.

    Raises:
        ConfigError: An unreadable file, an unknown key, or a value of the wrong kind.
    """
    values = {} if path is None else read_settings(path)
    values = {**values, **given, "out": out}
    if isinstance(values.get("alpha"), str) and values["alpha"] != "auto":
        try:
            values["alpha"] = float(values["alpha"])
        except ValueError:
            raise ConfigError(f"--alpha {values['alpha']}: lies in [0, 1] or is auto") from None
    return MitigationSettings(**values).complete()


def read_settings(path: Path) -> dict[str, Any]:
    """Field -> value from a TOML file such as `config.toml`.

    Raises:
        ConfigError: An unreadable file, an unknown key, or a value of the wrong kind.
    """
    try:
        tree = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"--config {path}: cannot be read ({error})") from error
    known = {entry.name for entry in dataclasses.fields(MitigationSettings)} - {"one_shot_weights"}
    unknown = sorted(set(tree) - known)
    if unknown:
        raise ConfigError(f"--config {path}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    values: dict[str, Any] = {}
    for name, value in tree.items():
        values[name] = Path(value) if name in _PATHS and isinstance(value, str) else _as_tuples(value)
        if name in _KINDS:
            _check_kind(name, values[name], where=f"--config {path}: ")
    return values


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
    # A run of an older version may lack a key; it then had the default.
    before = MitigationSettings(**{**read_settings(path), "out": settings.out})
    for entry in dataclasses.fields(MitigationSettings):
        if entry.name in _FREE_ON_RESUME | {"one_shot_weights"}:
            continue
        was, now = (_plain(getattr(one, entry.name)) for one in (before, settings))
        if was != now:
            raise ConfigError(
                f"--resume: {path} has {entry.name} = {_told(was)}, now it is {_told(now)}; give the same settings "
                f"(--config {path}), or leave out --resume to start anew"
            )


def read_weights(path: Path) -> dict[str, float]:
    """Case id -> weight, from the table that `segfair weights` wrote.

    Raises:
        InputError: Not such a table.
    """
    table = load_table(path)
    if not {"case", "weight"} <= set(table.columns):
        raise InputError(f"{path}: expected the columns case and weight, got {', '.join(table.columns)}")
    ids = [cell_text(value) for value in table.raw["case"].tolist()]
    numbers = [as_number(value) for value in table.column("weight")]
    if any(number is None or number < 0 for number in numbers):
        raise InputError(f"{path}, column weight: every weight has to be a number of at least 0")
    weights = {case: float(number or 0.0) for case, number in zip(ids, numbers, strict=True)}
    if not any(weights.values()):
        raise InputError(f"{path}, column weight: all are 0, so no case would ever be drawn")
    return weights


def _whole(least: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _triple(part: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, tuple) and len(value) == 3 and all(map(part, value))


def _texts(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and all(isinstance(part, str) for part in value)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


_PATHS = ("out", "data", "metadata", "cache")
_KINDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(_PATHS, (lambda value: isinstance(value, Path), "a path")),
    **dict.fromkeys(
        ("epochs", "batch_size", "samples_per_case", "phases"), (_whole(1), "a whole number of at least 1")
    ),
    **dict.fromkeys(("seed", "workers"), (_whole(0), "a whole number of at least 0")),
    **dict.fromkeys(("baseline", "amp", "resume", "bias"), (_flag, "true or false")),
    **dict.fromkeys(("backbones", "strategies", "attributes"), (_texts, "a list of names")),
    **dict.fromkeys(("device", "id_column", "sheet", "subject_column"), (_text, "a text")),
    "network": (lambda value: isinstance(value, Mapping), "tables such as [network.unet]"),
    "lr": (lambda value: _number(value) and value > 0, "a number above 0"),
    "min_support": (lambda value: _number(value) and 0 < value <= 1, "a share above 0, at most 1"),
    "alpha": (lambda value: _number(value) or value == "auto", "a number in [0, 1], or auto"),
    "spatial_size": (_triple(_whole(1)), "three whole numbers from 1 on"),
    "spacing_mm": (_triple(lambda part: _number(part) and part > 0), "three numbers above 0"),
    "loss": (lambda value: value in get_args(LossName), f"one of {', '.join(get_args(LossName))}"),
    "outcome": (lambda value: value in ("dsc", "ps"), "dsc or ps"),
    "reduction": (lambda value: value in ("mean", "sum"), "mean or sum"),
}


def _check_kind(name: str, value: Any, *, where: str = "") -> None:
    fits, kind = _KINDS[name]
    # None stands for a default that depends on the data, where the field has none of its own.
    if value is None and name in _OPTIONAL:
        return
    if not fits(value):
        raise ConfigError(f"{where}{name}: expected {kind}, got {_told(_plain(value))}")


_OPTIONAL = {entry.name for entry in dataclasses.fields(MitigationSettings) if entry.default is None}


def _as_tuples(value: Any) -> Any:
    """Tuples where TOML has lists."""
    if isinstance(value, Mapping):
        return {key: _as_tuples(part) for key, part in value.items()}
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple | list) else value


def _told(value: Any) -> str:
    return "unset" if value is None else repr(value)
