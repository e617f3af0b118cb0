"""What an audit was asked and what it found: facts only, and their `audit.json`.

Computes nothing and draws nothing. `AuditResult.to_dict` is the file format (`"format": 1`); together with the mask
folders it is enough to draw the report again and to compare two audits.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cattrs
from cattrs.gen import make_dict_structure_fn

from segfair.attributes.binning import ReadAs
from segfair.audit.result.gallery import Gallery
from segfair.audit.result.second_labels import TwoRulers
from segfair.cases import Join
from segfair.errors import InputError
from segfair.fairness.challenge import Disparity
from segfair.fairness.level_means import JudgingRule
from segfair.protocol.rules import Protocol
from segfair.stats.resampling import Resampling
from segfair.subgroups.lattice import Better, Divergence, Item, Subgroup, SubgroupTable
from segfair.subgroups.search import LeftOut, Search, SearchBounds

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "FORMAT",
    "RESERVED_NAMES",
    "TAUGHT_BINS",
    "Alert",
    "AttributeFacts",
    "AuditConfig",
    "AuditResult",
    "Bins",
    "CaseCounts",
    "CaseScores",
    "Chance",
    "ColumnFacts",
    "Definition",
    "FairnessScore",
    "GateFacts",
    "LeftOut",
    "LevelFacts",
    "MetricFacts",
    "OutcomeFacts",
    "PowerFacts",
    "Score",
    "Search",
    "Verdict",
    "distinct_alerts",
]

FORMAT = 1
TAUGHT_BINS = "taught the bins, and so is not audited"
"""Why a case is excluded that was scored, and used to learn the bins of an attribute."""
Interval = tuple[float, float]
# In a row of `case_scores` or of an attribute's levels a metric stands beside these.
RESERVED_NAMES = frozenset({"case", "penalised", "level", "n", "small", "median", "ci", "failure_rate", "failure_ci"})


@dataclass(frozen=True, slots=True)
class AuditConfig:
    """The settings of one audit; the defaults are those of the command line.

    Attributes:
        protocol: Scoring rules.
        labels: Which voxels count ("1", "any", or regions as "NAME=1,2"); empty: the protocol's or data set's own.
        attributes: Metadata columns to use; None: every usable one, or the protocol's own.
        bins: Column -> bin edges.
        read_as: Column -> "categorical", "ordered" or "numeric", where that is not left to be inferred.
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
        seed: Seed of everything random.
        strict: Whether the first unusable file stops the audit.
    """

    protocol: Protocol
    labels: tuple[str, ...] = ()
    attributes: tuple[str, ...] | None = None
    bins: Mapping[str, tuple[float, ...] | Literal["tree"]] = field(default_factory=dict)
    read_as: Mapping[str, ReadAs] = field(default_factory=dict)
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
    seed: int = 0
    strict: bool = False

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
class CaseCounts:
    """How many cases were scored, and what became of the others.

    Attributes:
        n_scored: Cases in every mean, the penalised ones included.
        penalised: Case -> why it got the worst score.
        missing_predictions: Cases without a prediction.
        excluded: Case -> why it is in no mean.
        label_sha256: Case -> digest of the voxels of its label that count, where masks were scored.
    """

    n_scored: int
    penalised: Mapping[str, str]
    missing_predictions: tuple[str, ...]
    excluded: Mapping[str, str]
    label_sha256: Mapping[str, str] = field(default_factory=dict)

    @property
    def n_taught(self) -> int:
        """Of the excluded, those that taught the bins; nothing is wrong with them."""
        return sum(reason == TAUGHT_BINS for reason in self.excluded.values())

    @property
    def unusable(self) -> dict[str, str]:
        """Of the excluded, those that could not be audited."""
        return {case: reason for case, reason in self.excluded.items() if reason != TAUGHT_BINS}


@dataclass(frozen=True, slots=True)
class CaseScores:
    """One row a case: id, metrics (None: undefined), `penalised` (reason or empty), attribute levels.

    Attributes:
        columns: Column names; `metrics` and `attributes` say which is which.
        rows: The rows.
        subjects: A running number for the patient of each row; empty where every case is a patient of its own.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    metrics: tuple[str, ...]
    attributes: tuple[str, ...]
    subjects: tuple[int, ...] = ()

    def column(self, name: str) -> list[Any]:
        """One column, in row order."""
        index = self.columns.index(name)
        return [row[index] for row in self.rows]

    def to_frame(self) -> pd.DataFrame:
        """The rows as a data frame."""
        import pandas as pd

        return pd.DataFrame(list(self.rows), columns=list(self.columns))


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """How one metric was defined, and how many cases had no value."""

    name: str
    unit: str
    better: str
    definition: str
    empty_rule: str
    n_undefined: int


@dataclass(frozen=True, slots=True)
class Bins:
    """How one attribute was made from a metadata column."""

    column: str
    binning: str
    edges: tuple[float, ...]
    levels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """How one metadata column was read.

    Attributes:
        read_as: What it was taken for: levels, ranges of numbers, dates, patients, a fold ...
        why: What that was decided by.
        n_missing: Audited cases without a value.
        spellings: How missing values are spelt -> number of cases; "" for empty cells.
    """

    read_as: str
    why: str
    n_missing: int
    spellings: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chance:
    """What the score would be if the attributes told nothing about the outcome."""

    mean: float
    interval: Interval
    p_value: float


@dataclass(frozen=True, slots=True)
class Score:
    """One score of the cohort.

    Attributes:
        value: None where undefined; then `reason` says why.
        ci: 95 % interval.
        chance: Chance level, for scores that compare groups.
        without_penalised: The value over the cases that were not penalised.
        all_levels: FS over all levels, however small (FS only).
        reason: Why there is no value.
    """

    value: float | None
    ci: Interval | None = None
    chance: Chance | None = None
    without_penalised: float | None = None
    all_levels: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FairnessScore:
    """One further fairness score of one attribute, with the variant that was computed."""

    name: str
    variant: str
    attribute: str
    formula: str
    reference: str
    value: float | None
    ci: Interval | None = None
    chance: Chance | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LevelFacts:
    """One level of an attribute.

    Attributes:
        level: Its name.
        n: Cases.
        small: Whether it has fewer than `min_cases` cases.
        mean, median: Metric -> value over the cases with one; None without.
        ci: Metric -> 95 % interval of the mean.
        divergence: The level's test on the primary outcome, where it is a subgroup.
        failure_rate: Share of failed cases, with its interval.
    """

    level: str
    n: int
    small: bool
    mean: Mapping[str, float | None]
    median: Mapping[str, float | None]
    ci: Mapping[str, Interval] = field(default_factory=dict)
    failure_rate: float | None = None
    failure_ci: Interval | None = None


@dataclass(frozen=True, slots=True)
class AttributeFacts:
    """One attribute: its disparity D_v (None where DSC or NormHD was not scored) and its levels."""

    name: str
    disparity: Disparity | None
    levels: tuple[LevelFacts, ...]
    disparity_ci: Interval | None = None
    disparity_chance: Chance | None = None
    primary: bool = False


@dataclass(frozen=True, slots=True)
class OutcomeFacts:
    """What the subgroup table of one outcome rests on.

    Attributes:
        better: Direction.
        n_cases, mean: Cases with a value, and their mean.
        primary: Whether this is the outcome that was tested as declared; others are exploratory.
        n_tested: Subgroups in the family.
        critical: Smallest |t| that is significant at the family-wise level.
        method: How significance was judged, in words.
        global_divergence: (attribute, level, share) over the whole lattice, most harmful first.
        notes: Plain sentences where something could not be judged.
    """

    better: Better
    n_cases: int
    mean: float | None
    primary: bool
    n_tested: int = 0
    critical: float | None = None
    method: str = "not corrected for multiple testing"
    global_divergence: tuple[tuple[str, str, float], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Definition:
    """The scores under another definition of NormHD, and what changes in the order of levels."""

    name: str
    normhd: float | None
    ps: float | None
    fs: float | None
    ts: float | None
    changes: tuple[str, ...]
    used: bool


@dataclass(frozen=True, slots=True)
class PowerFacts:
    """What this cohort could have shown about one level."""

    attribute: str
    level: str
    n: int
    detectable_gap: float | None
    n_needed: int | None


@dataclass(frozen=True, slots=True)
class Alert:
    """Something the reader must know before believing a number."""

    kind: str
    text: str


def distinct_alerts(alerts: Iterable[Alert]) -> tuple[Alert, ...]:
    """The alerts in their order, each text once: the first that says it stands."""
    found: dict[str, Alert] = {}
    for alert in alerts:
        found.setdefault(alert.text, alert)
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer in one word and one sentence."""

    kind: str
    sentence: str


@dataclass(frozen=True, slots=True)
class GateFacts:
    """One gate and how it went."""

    gate: str
    state: Literal["pass", "fail", "undecided"]
    reason: str


@dataclass(frozen=True, slots=True)
class AuditResult:
    """Everything an audit found.

    Attributes:
        config: The settings; `config.protocol` holds the scoring rules.
        inputs: Role -> path, as handed in.
        versions: Package -> version.
        cases, case_scores, metrics, bins: What was scored, and how.
        binning: The plan that made the attributes (`BinningPlan.to_dict`), to apply it to other cases.
        left_out: Metadata column -> why it became no attribute.
        notices, alerts: For the reader.
        scores: "DSC", "NormHD", "PS", "FS", "TS" -> score.
        fairness: Further fairness scores.
        definitions: The scores under other definitions of NormHD.
        attributes: Per attribute and level.
        outcomes, subgroups: Outcome -> what its table rests on, and the table.
        primary_subgroups: The levels of the primary attributes, a family of their own.
        search: Which subgroups were looked for; None in an audit.json of a version that did not say.
        power: What the cohort could have shown.
        verdict: The answer.
        gates: Gates and how they went.
        columns: Metadata column -> how it was read, and what was missing.
        joined: How rows of the table and cases were joined; None where there was no table to join.
        record: What the user says about the study.
        pseudonym_key: Fingerprint of the key behind the pseudonyms that stand for ids; empty: there are none.
        shared: Whether this was made to be handed on: groups of few cases and all rows of cases are left out.
        two_rulers: The same predictions against a second set of labels; None: there was none.
        gallery: Pictures of the worst cases; None: there are none.
    """

    config: AuditConfig
    inputs: Mapping[str, str]
    versions: Mapping[str, str]
    cases: CaseCounts
    case_scores: CaseScores
    metrics: tuple[MetricFacts, ...]
    bins: Mapping[str, Bins]
    left_out: Mapping[str, str]
    notices: tuple[str, ...]
    alerts: tuple[Alert, ...]
    scores: Mapping[str, Score]
    definitions: tuple[Definition, ...]
    attributes: tuple[AttributeFacts, ...]
    outcomes: Mapping[str, OutcomeFacts]
    subgroups: Mapping[str, SubgroupTable]
    verdict: Verdict
    fairness: tuple[FairnessScore, ...] = ()
    primary_subgroups: SubgroupTable | None = None
    power: tuple[PowerFacts, ...] = ()
    gates: tuple[GateFacts, ...] = ()
    joined: Join | None = None
    columns: Mapping[str, ColumnFacts] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    binning: Mapping[str, Any] = field(default_factory=dict)
    pseudonym_key: str = ""
    shared: bool = False
    two_rulers: TwoRulers | None = None
    gallery: Gallery | None = None
    search: Search | None = None

    @property
    def primary_outcome(self) -> str:
        """The outcome whose subgroups were tested as declared."""
        return self.config.outcomes[0]

    def strongest_evidence(self) -> SubgroupTable:
        """The subgroups of the primary outcome, each with the test that says most about it.

        A level that was fixed beforehand and is significant in its own, smaller family stands with that family's row;
        whatever names who is worst off then never contradicts the verdict.
        """
        table = self.subgroups[self.primary_outcome]
        found = [row for row in self.primary_subgroups or () if row.significant]
        if not found:
            return table
        harm = 1 if table.better == "higher" else -1
        rows = list(table)
        for level in found:
            place = next(
                (index for index, row in enumerate(rows) if level.subgroup in (row.subgroup, *row.aliases)), None
            )
            if place is not None:
                rows[place] = level
                continue
            ahead = (index for index, row in enumerate(rows) if harm * row.divergence > harm * level.divergence)
            rows.insert(next(ahead, len(rows)), level)
        return dataclasses.replace(table, rows=tuple(rows))

    def to_frame(self) -> pd.DataFrame:
        """The subgroups of all outcomes, most harmful first within each."""
        import pandas as pd

        frames = [table.to_frame() for table in self.subgroups.values() if len(table)]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def _repr_html_(self) -> str:
        """Scores and worst subgroups for a notebook; escaped."""
        import pandas as pd

        scores = pd.DataFrame([{"score": name, "value": score.value} for name, score in self.scores.items()])
        worst = self.subgroups[self.primary_outcome].worst(10)
        groups = pd.DataFrame(
            [
                {"subgroup": row.subgroup.name, "n": row.n, "mean": row.mean, "divergence": row.divergence}
                for row in worst
            ]
        )
        return "\n".join(frame.to_html(index=False, escape=True, border=0) for frame in (scores, groups))

    def to_dict(self) -> dict[str, Any]:
        """The contents of `audit.json`: plain dicts, lists, texts, finite numbers and None."""
        tree: dict[str, Any] = _converter.unstructure(self)
        protocol = tree["config"].pop("protocol")
        cases = tree["cases"]
        return {
            "format": FORMAT,
            **tree,
            "protocol": protocol,
            "cases": {
                **cases,
                "penalised": _as_rows(cases["penalised"]),
                "excluded": _as_rows(cases["excluded"]),
            },
            "subgroups": {name: table["rows"] for name, table in tree["subgroups"].items()},
        }

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> AuditResult:
        """The inverse of `to_dict`.

        Raises:
            InputError: Not an audit, or of another format number.
        """
        if tree.get("format") != FORMAT:
            raise InputError(f"audit.json: format is {tree.get('format')!r}, this version reads {FORMAT}")
        try:
            cases = tree["cases"]
            flat = {
                **tree,
                "config": {**tree["config"], "protocol": tree["protocol"]},
                "cases": {
                    **cases,
                    "penalised": {row["case"]: row["reason"] for row in cases["penalised"]},
                    "excluded": {row["case"]: row["reason"] for row in cases["excluded"]},
                },
                "subgroups": {
                    name: {"outcome": name, "rows": rows} | {key: tree["outcomes"][name][key] for key in _TABLE_KEYS}
                    for name, rows in tree["subgroups"].items()
                },
            }
            return _converter.structure(flat, cls)
        except (cattrs.BaseValidationError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"audit.json: not a complete audit ({error!r}); write it again with segfair audit"
            ) from error

    def save(self, path: Path) -> None:
        """Writes `audit.json`; refuses a value that JSON cannot hold rather than writing NaN."""
        text = json.dumps(self.to_dict(), allow_nan=False, ensure_ascii=False, indent=1)
        # A lone surrogate out of some table has no UTF-8; its backslash form is what JSON calls it anyway.
        path.write_bytes(text.encode("utf-8", "backslashreplace"))

    @classmethod
    def load(cls, path: Path) -> AuditResult:
        """Reads `audit.json`.

        Raises:
            InputError: The file is missing, not JSON, or not an audit of this format.
        """
        try:
            tree = json.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise InputError(f"{path}: cannot be read as audit.json ({error})") from error
        if not isinstance(tree, dict):
            raise InputError(f"{path}: not an audit.json, but a JSON {type(tree).__name__}")
        return cls.from_dict(tree)


_TABLE_KEYS = ("better", "n_cases", "mean")


def _as_rows(reasons: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"case": case, "reason": reason} for case, reason in reasons.items()]


def _build_converter() -> cattrs.Converter:
    """Dataclasses <-> the layout of `audit.json`; the hooks are where the two differ."""
    converter = cattrs.Converter(forbid_extra_keys=False)

    converter.register_unstructure_hook(Subgroup, lambda group: dict(sorted(group.items)))
    converter.register_structure_hook(Subgroup, lambda tree, _: Subgroup(frozenset(tree.items())))

    def divergence_out(row: Divergence) -> dict[str, Any]:
        plain = (name for name in Divergence.__slots__ if name != "shapley")
        tree = {name: converter.unstructure(getattr(row, name)) for name in plain}
        shares = [{"attribute": item[0], "level": item[1], "share": share} for item, share in row.shapley.items()]
        return {"items": tree.pop("subgroup"), **tree, "shapley": shares}

    plain_divergence = make_dict_structure_fn(Divergence, converter)

    def divergence_in(tree: Mapping[str, Any], kind: type[Divergence]) -> Divergence:
        shares: dict[Item, float] = {(share["attribute"], share["level"]): share["share"] for share in tree["shapley"]}
        row: Divergence = plain_divergence({**tree, "subgroup": tree["items"], "shapley": {}}, kind)
        row.shapley.update(shares)  # type: ignore[attr-defined]
        return row

    converter.register_unstructure_hook(Divergence, divergence_out)
    converter.register_structure_hook(Divergence, divergence_in)

    def level_out(level: LevelFacts) -> dict[str, Any]:
        tree = {name: converter.unstructure(getattr(level, name)) for name in LevelFacts.__slots__}
        means = tree.pop("mean")
        return {"level": tree.pop("level"), "n": tree.pop("n"), **means, **tree}

    plain_level = make_dict_structure_fn(LevelFacts, converter)

    def level_in(tree: Mapping[str, Any], kind: type[LevelFacts]) -> LevelFacts:
        means = {name: tree[name] for name in tree["median"]}
        level: LevelFacts = plain_level({**tree, "mean": means}, kind)
        return level

    converter.register_unstructure_hook(LevelFacts, level_out)
    converter.register_structure_hook(LevelFacts, level_in)

    def attribute_out(entry: AttributeFacts) -> dict[str, Any]:
        tree = {name: converter.unstructure(getattr(entry, name)) for name in AttributeFacts.__slots__}
        disparity = tree.pop("disparity")
        if disparity is None:
            return {"name": tree.pop("name"), "disparity": None, "set_by": None, **tree}
        return {
            "name": tree.pop("name"),
            "disparity": disparity["value"],
            "gap_dsc": disparity["gap_dsc"],
            "gap_normhd": disparity["gap_normhd"],
            "set_by": {
                metric: {"low": disparity[f"{metric}_low"], "high": disparity[f"{metric}_high"]}
                for metric in ("dsc", "normhd")
            },
            "n_levels": disparity["n_levels"],
            "n_small": disparity["n_small"],
            **tree,
        }

    plain_attribute = make_dict_structure_fn(AttributeFacts, converter)

    def attribute_in(tree: Mapping[str, Any], kind: type[AttributeFacts]) -> AttributeFacts:
        disparity = None
        if tree["set_by"] is not None:
            disparity = {"attribute": tree["name"], "value": tree["disparity"]}
            disparity |= {key: tree[key] for key in ("gap_dsc", "gap_normhd", "n_levels", "n_small")}
            for metric, ends in tree["set_by"].items():
                disparity |= {f"{metric}_{end}": extreme for end, extreme in ends.items()}
        entry: AttributeFacts = plain_attribute({**tree, "disparity": disparity}, kind)
        return entry

    converter.register_unstructure_hook(AttributeFacts, attribute_out)
    converter.register_structure_hook(AttributeFacts, attribute_in)

    converter.register_unstructure_hook(Protocol, lambda protocol: protocol.to_dict())
    converter.register_structure_hook(Protocol, lambda tree, _: Protocol.from_dict(tree, source="audit.json"))

    edges = tuple[float, ...] | Literal["tree"]
    converter.register_structure_hook(edges, lambda value, _: value if value == "tree" else tuple(map(float, value)))
    converter.register_structure_hook(Any, lambda value, _: value)
    return converter


_converter = _build_converter()
