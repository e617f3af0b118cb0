"""What an audit was asked, and of what: every setting with its default. Reads no file, checks nothing against data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Literal

from segfair.attributes.binning import ReadAs
from segfair.attributes.joins import LevelJoin
from segfair.cases import Join
from segfair.errors import ConfigError
from segfair.fairness.level_means import JudgingRule
from segfair.protocol.rules import Protocol, load_protocol
from segfair.stats.resampling import Resampling
from segfair.subgroups.search import SearchBounds

__all__ = ["About", "AuditConfig", "PlanDifference", "PlanFacts"]

_NAMES = ("labels", "attributes", "outcomes", "primary", "adjust")


@dataclass(frozen=True, slots=True)
class AuditConfig:
    """The settings of one audit; the defaults are those of the command line.

    One name stands for a list of one, and the name of a protocol for the protocol.

    Attributes:
        protocol: Scoring rules.
        labels: Which voxels count ("1", "any", or regions as "NAME=1,2"); empty: the protocol's or data set's own.
        attributes: Metadata columns to use; None: every usable one, or the protocol's own.
        bins: Column -> bin edges.
        read_as: Column -> "categorical", "ordered" or "numeric", where that is not left to be inferred.
        join: Texts of a column that are taken as one level.
        outcomes: Metrics whose subgroups are examined; the first is the primary one.
        min_support: Smallest share of cases of a mined subgroup; single levels of `min_cases` join them.
        min_cases: Smallest number of members, and of others, of a subgroup that is judged.
        max_items: Most attributes of a combination; None: as many as occur together, within `max_subgroups`.
        max_subgroups: About how many subgroups are searched at most: where there are more, combinations become
            shorter, then those of few cases stay out (`segfair.subgroups.search`).
        missing_prediction: What an unusable prediction means; None: as "worst", unless more than a fifth are.
        threshold: Predictions are probability maps, a voxel is lesion from this probability on; None: masks.
        spacing_mm: Voxel size of masks whose file does not say it (PNG); None: their lengths are in pixels or voxels.
        failure_dsc: A case with a DSC below it counts as failed, as does a missed lesion.
        level: Family-wise error level of the tests.
        permutations, bootstrap: Numbers of resamples.
        primary: Attributes fixed beforehand, tested as a family of their own.
        stratify: Metadata column within which outcomes are permuted; None: over all cases.
        subject_column: Column that tells which cases are of one patient.
        adjust: Covariates of the adjusted differences ("lesion_volume", or numeric metadata columns); None: lesion
            volume for DSC where masks were scored.
        margin: Outcome -> largest deficit that does not matter.
        power_gap: The gap for which the report says how many cases it takes.
        derive: Whether lesion volume, number of lesions and spacing become attributes.
        unit: What a row is: a case, or a lesion of a label, found by the protocol's rule of lesions.
        other_tools: Whether cases are scored by the definitions of other tools as well, and what they change is told.
        seed: Seed of everything random.
        strict: Whether the first unusable file stops the audit.
    """

    protocol: Protocol = field(default_factory=lambda: load_protocol("default"))
    labels: tuple[str, ...] = ()
    attributes: tuple[str, ...] | None = None
    bins: Mapping[str, tuple[float, ...] | Literal["tree"]] = field(default_factory=dict)
    read_as: Mapping[str, ReadAs] = field(default_factory=dict)
    join: tuple[LevelJoin, ...] = ()
    outcomes: tuple[str, ...] = ("dsc",)
    min_support: float = 0.05
    min_cases: int = 10
    max_items: int | None = None
    max_subgroups: int = 20_000
    missing_prediction: Literal["worst", "drop", "error"] | None = None
    threshold: float | None = None
    spacing_mm: tuple[float, ...] | None = None
    failure_dsc: float = 0.5
    level: float = 0.05
    permutations: int = 2000
    bootstrap: int = 2000
    primary: tuple[str, ...] = ()
    stratify: str | None = None
    subject_column: str | None = None
    adjust: tuple[str, ...] | None = None
    margin: Mapping[str, float] = field(default_factory=dict)
    power_gap: float = 0.05
    derive: bool = False
    unit: Literal["case", "lesion"] = "case"
    other_tools: bool = False
    seed: int = 0
    strict: bool = False

    def __post_init__(self) -> None:
        """Takes a name for what it names.

        Raises:
            ConfigError: A share, a level or a unit that is none, or no such protocol.
        """
        if not isinstance(self.protocol, Protocol):
            object.__setattr__(self, "protocol", load_protocol(self.protocol))
        for setting in _NAMES:
            names = getattr(self, setting)
            if names is not None and not isinstance(names, tuple):
                object.__setattr__(self, setting, (names,) if isinstance(names, str) else tuple(names))
        if not isinstance(self.min_support, Real) or not 0 < self.min_support <= 1:
            raise ConfigError(
                f"min_support={self.min_support!r}: a share of the cases, from 0 to 1, is meant; a number of cases is "
                "min_cases"
            )
        if self.unit not in ("case", "lesion"):
            raise ConfigError(f'unit={self.unit!r}: "case" or "lesion" is meant')
        if not isinstance(self.level, Real) or not 0 < self.level <= 0.5:
            raise ConfigError(f"level={self.level!r}: a probability up to 0.5 is meant, such as 0.05")

    @property
    def resampling(self) -> Resampling:
        """Seed and sizes of all that is random."""
        return Resampling(self.seed, self.bootstrap, self.permutations, self.min_cases)

    @property
    def judging(self) -> JudgingRule:
        """Which levels and attributes count in D_v and FS."""
        return JudgingRule.of(self.protocol.fairness.levels, min_cases=self.min_cases)

    @property
    def bounds(self) -> SearchBounds:
        """How far subgroups are searched."""
        return SearchBounds(self.min_support, self.min_cases, self.max_items, self.max_subgroups)


@dataclass(frozen=True, slots=True)
class PlanDifference:
    """A setting that is not as it was planned; both values as texts."""

    setting: str
    planned: str
    done: str


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What was fixed before the study (`segfair plan`), and where the audit differs from it.

    Attributes:
        digest: SHA-256 of the plan, as `segfair plan` prints it.
        planned: What the digest is of: the plan as plain values, with the digest of its scoring rules.
        differences: What the audit did otherwise; empty: it was that plan.
    """

    digest: str
    planned: Mapping[str, Any]
    differences: tuple[PlanDifference, ...] = ()

    @property
    def sentence(self) -> str:
        """Whether the audit was that plan, in a line."""
        told = (f"{entry.setting} (planned: {entry.planned}; done: {entry.done})" for entry in self.differences)
        return f"not as planned: {', '.join(told)}" if self.differences else "as planned"


@dataclass(frozen=True, slots=True)
class About:
    """What an audit was asked, and of what.

    Attributes:
        config: The settings; `config.protocol` holds the scoring rules.
        inputs: Role -> path, as handed in.
        versions: Package -> version.
        notices: For the reader.
        joined: How rows of the table and cases were joined; None where there was no table to join.
        record: What the user says about the study.
        pseudonym_key: Fingerprint of the key behind the pseudonyms that stand for ids; empty: there are none.
        plan: What was fixed beforehand; None: nothing was.
        shared: Whether this was made to be handed on: groups of few cases and all rows of cases are left out.
    """

    config: AuditConfig
    inputs: Mapping[str, str]
    versions: Mapping[str, str]
    notices: tuple[str, ...]
    joined: Join | None = None
    record: Mapping[str, Any] = field(default_factory=dict)
    pseudonym_key: str = ""
    plan: PlanFacts | None = None
    shared: bool = False
