"""The plan of a study: the table `[plan]` of its TOML file -> the settings of its audit, and a hash of both.

What the plan leaves out is planned to be the default. Knows no data.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import cattrs
from cattrs.gen import make_dict_unstructure_fn

from segfair.attributes.binning import readings_of
from segfair.attributes.joins import parse_join
from segfair.audit.judging.gates import Gate, parse_gate
from segfair.audit.result import AuditConfig
from segfair.documents import read_toml
from segfair.errors import ConfigError
from segfair.protocol.rules import PROTOCOL_NAMES, load_protocol
from segfair.trees import Kind, structure, tree_converter

__all__ = ["SampleSize", "StudyPlan", "read_plan"]

FORMAT = 1
Share = Annotated[float, Kind("a number between 0 and 1", lambda value: 0 < value < 1)]
Above = Annotated[float, Kind("a number above 0", lambda value: value > 0)]
Count = Annotated[int, Kind("a whole number above 0", lambda value: value > 0)]
Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SampleSize:
    """What the number of cases rests on.

    Attributes:
        sd: Standard deviation of the primary outcome over cases.
        cases: Cases that are going to be audited; None: not fixed.
        width: The widest interval of a difference that will do; None: any will.
        shares: Primary attribute -> level -> share of the cases; empty: those of a table of patients.
    """

    sd: Above
    cases: Count | None = None
    width: Above | None = None
    shares: Mapping[str, Mapping[str, Share]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Table:
    """`[plan]` as it stands in the file; names as those of the options of `segfair audit`."""

    protocol: str = "default"
    label: Names = ()
    outcome: Names = ("dsc",)
    primary: Names = ()
    margin: Mapping[str, Above] = field(default_factory=dict)
    gate: Names = ()
    where: str | None = None
    attributes: Names | None = None
    bins: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    categorical: Names = ()
    ordered: Names = ()
    numeric: Names = ()
    join: Names = ()
    subject_column: str | None = None
    stratify: str | None = None
    adjust: Names | None = None
    missing_prediction: Literal["worst", "drop", "error"] | None = None
    threshold: Share | None = None
    derive: bool = False
    failure_dsc: Annotated[float, Kind("a number from 0 to 1", lambda value: 0 <= value <= 1)] = 0.5
    level: Annotated[float, Kind("a number above 0, up to 0.5", lambda value: 0 < value <= 0.5)] = 0.05
    gap: Above = 0.05
    min_support: Annotated[float, Kind("a number above 0, up to 1", lambda value: 0 < value <= 1)] = 0.05
    min_cases: Count = 10
    max_items: Count | None = None
    permutations: Annotated[int, Kind("a whole number from 19 on", lambda value: value >= 19)] = 2000
    bootstrap: Annotated[int, Kind("a whole number from 100 on", lambda value: value >= 100)] = 2000
    seed: Annotated[int, Kind("a whole number from 0 on", lambda value: value >= 0)] = 0
    sample_size: SampleSize | None = None


_LISTS = ("label", "outcome", "primary", "gate", "attributes", "categorical", "ordered", "numeric", "join", "adjust")
_AS_THEY_ARE = (
    *("primary", "margin", "attributes", "bins", "subject_column", "stratify", "adjust", "missing_prediction"),
    *("threshold", "derive", "failure_dsc", "level", "min_support", "min_cases", "max_items", "permutations"),
    *("bootstrap", "seed"),
)
SETTINGS = (*_AS_THEY_ARE, "protocol", "labels", "outcomes", "read_as", "join", "power_gap")
"""Settings of an audit that a plan fixes."""
_EXAMPLE = '[plan], primary = ["sex"], margin = {dsc = 0.05}'


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """A plan, read.

    Attributes:
        config: The settings of the audit.
        gates: What the audit has to pass; those of the protocol come first.
        where: Which cases count; None: all.
        sample_size: What the number of cases rests on; None: it was not planned.
        tree: The plan as plain values, without what is the default, with the digest of its scoring rules.
    """

    config: AuditConfig
    gates: tuple[Gate, ...]
    where: str | None
    sample_size: SampleSize | None
    tree: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of the plan: of what it says, not of the file's spaces, comments and order."""
        return hashlib.sha256(json.dumps(self.tree, sort_keys=True).encode()).hexdigest()

    @property
    def tells_shares(self) -> bool:
        """Whether it says how large each level of each primary attribute will be."""
        size = self.sample_size
        return size is not None and bool(self.config.primary) and set(self.config.primary) <= set(size.shares)

    def applied(self, config: AuditConfig) -> AuditConfig:
        """The settings of an audit, as planned wherever they are the defaults."""
        default = AuditConfig()
        changes = {
            name: getattr(self.config, name) for name in SETTINGS if getattr(config, name) == getattr(default, name)
        }
        return dataclasses.replace(config, **changes)


def read_plan(path: Path) -> StudyPlan:
    """Reads the plan of a study.

    Args:
        path: A TOML file with a table `[plan]`; its other keys are the record of the study. A protocol in a file is
            looked for beside it.

    Raises:
        ConfigError: No such file or table, an unknown key, or a value that cannot be meant.
    """
    tree = read_toml(path, refusal=ConfigError, what=f"plan {path}")
    if "plan" not in tree:
        raise ConfigError(f"{path}: there is no table [plan]; a plan begins with {_EXAMPLE}")
    if not isinstance(tree["plan"], Mapping):
        raise ConfigError(f"{path}: plan: expected a table, got {tree['plan']!r}; a plan begins with {_EXAMPLE}")
    given = {key: [value] if key in _LISTS and isinstance(value, str) else value for key, value in tree["plan"].items()}
    table = structure(_converter, given, _Table, source=f"{path}, [plan]")
    try:
        return _plan_of(table, path)
    except ConfigError as error:
        raise ConfigError(f"{path}, [plan]: {error}") from error


def _plan_of(table: _Table, path: Path) -> StudyPlan:
    if not table.outcome:
        raise ConfigError("outcome: name at least one metric, for example dsc")
    named = table.protocol in PROTOCOL_NAMES or Path(table.protocol).is_absolute()
    protocol = load_protocol(table.protocol if named else path.parent / table.protocol)
    _check_sample_size(table)
    config = AuditConfig(
        protocol,
        **{name: getattr(table, name) for name in _AS_THEY_ARE},
        labels=table.label,
        outcomes=table.outcome,
        read_as=readings_of(categorical=table.categorical, ordered=table.ordered, numeric=table.numeric),
        join=tuple(map(parse_join, table.join)),
        power_gap=table.gap,
    )
    said: dict[str, Any] = _converter.unstructure(table)
    said.pop("protocol", None)
    return StudyPlan(
        config,
        tuple(dict.fromkeys(map(parse_gate, (*protocol.gates, *table.gate)))),
        table.where,
        table.sample_size,
        {"format": FORMAT, **said, "protocol": {"name": protocol.name, "digest": protocol.digest}},
    )


def _check_sample_size(table: _Table) -> None:
    if table.sample_size is None:
        return
    for attribute, shares in table.sample_size.shares.items():
        if attribute not in table.primary:
            raise ConfigError(f"sample_size.shares.{attribute}: is not among primary ({', '.join(table.primary)})")
        if len(shares) < 2 or abs(sum(shares.values()) - 1) > 1e-6:
            raise ConfigError(
                f"sample_size.shares.{attribute}: shares of two or more levels that add up to 1 are meant, got "
                f"{len(shares)} with a sum of {sum(shares.values()):g}"
            )


def _build_converter() -> cattrs.Converter:
    converter = tree_converter()
    for kind in (SampleSize, _Table):
        written = make_dict_unstructure_fn(kind, converter, _cattrs_omit_if_default=True)
        converter.register_unstructure_hook(kind, written)
    return converter


_converter = _build_converter()
