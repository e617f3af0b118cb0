"""The cases of one epoch -> PS, FS, TS and the worst subgroup, by the kernels of the audit. Trains and draws nothing.

Scores masks in memory as files of the same masks are scored, and makes groups of the table as an audit does, so that an
epoch and `segfair.audit` of its masks say the same.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from segfair.api.arrays import as_mask
from segfair.api.messages import python_terms
from segfair.api.options import Names, audit_config, selection
from segfair.attributes.fit import AttributeTable
from segfair.attributes.joins import join_levels
from segfair.audit.certainty import challenge_of
from segfair.audit.choices.cases import settle
from segfair.audit.choices.groups import Study, form_groups
from segfair.audit.choices.labels import resolve_protocol
from segfair.audit.choices.units import resolve_units
from segfair.audit.result import AuditConfig
from segfair.audit.words import plural
from segfair.cases import Case, Cohort
from segfair.errors import ConfigError, GeometryError, MetadataError, close_names, some
from segfair.fairness import ChallengeScores, challenge_scores
from segfair.intake.case_rows import attach_metadata, read_metadata
from segfair.loops.batches import LoopCase
from segfair.mitigation.training.evaluation import Worst, worst_subgroup
from segfair.mitigation.training.ranks import Ranks
from segfair.remote import memory_folder
from segfair.scoring.cohort import score_case
from segfair.scoring.scores import CaseScore, ScoreTable, protocol_metrics
from segfair.subgroups.lattice import with_levels
from segfair.subgroups.search import search_subgroups

if TYPE_CHECKING:
    import pandas as pd

    from segfair.files.tables import Table
    from segfair.protocol.rules import Protocol

__all__ = ["Epoch", "EpochFairness", "LoopOptions"]

Spacing = Sequence[float] | Sequence[Sequence[float]] | None


class LoopOptions(TypedDict, total=False):
    """What the metrics, the handler and the callback may be told, as `segfair.audit` is.

    Attributes:
        protocol: Scoring rules: "default", "mama-mia", a TOML file, or a `Protocol`.
        label: Which voxels count: 1, "any", or regions as {"tumour": (1, 2)}.
        attributes: Metadata columns to use; every usable one without it.
        bins: Column -> bin edges.
        categorical, ordered, numeric: Columns that are meant so.
        join: Texts that are one level: "COLUMN: a, b = c".
        min_cases: Smallest subgroup that is judged.
        max_items: Most attributes of a combination.
        id_column, subject_column, sheet: See `segfair.load_cohort`.
    """

    protocol: str | PathLike[str] | Protocol
    label: int | str | Mapping[str, int | Sequence[int]] | None
    attributes: Names | None
    bins: Mapping[str, Sequence[float]]
    categorical: Names
    ordered: Names
    numeric: Names
    join: Names
    min_cases: int
    max_items: int | None
    id_column: str | None
    subject_column: str | None
    sheet: str | None


@dataclass(frozen=True, slots=True)
class EpochFairness:
    """What the cases of an epoch come to.

    Attributes:
        challenge: DSC, NormHD, PS, FS and TS, each None where undefined.
        worst: The subgroup of the lowest mean DSC among those of at least `min_cases` cases; None: none is so large.
        n_cases: Cases that count.
    """

    challenge: ChallengeScores
    worst: Worst | None
    n_cases: int

    def numbers(self) -> dict[str, float]:
        """What a logger is told, by name: `fairness/ps`, `fs`, `ts`, `worst_dsc` and `worst_n`, as far as defined."""
        scores = self.challenge
        found = {"ps": scores.ps, "fs": scores.fs, "ts": scores.ts}
        if self.worst is not None:
            found |= {"worst_dsc": self.worst.dsc, "worst_n": float(self.worst.n)}
        return {f"fairness/{name}": value for name, value in found.items() if value is not None}

    def __str__(self) -> str:
        """One line for a log."""
        scores = self.challenge
        told = [f"{name} {value:.3f}" for name, value in (("PS", scores.ps), ("FS", scores.fs)) if value is not None]
        if self.worst is not None:
            told.append(f"worst off {self.worst.name} (n {self.worst.n}, mean DSC {self.worst.dsc:.3f})")
        return ", ".join(told) or "no case that counts"


class Epoch:
    """Collects the cases of an epoch, and says what they come to.

    Of several processes each scores its own cases; what they come to is of all cases together, each counted once, and
    the same in every process.

    Args:
        metadata: Table of the cases: a file or a data frame; None: levels come with the cases, or there are none.
        options: Settings.

    Raises:
        ConfigError: Settings that cannot be meant.
        MetadataError: A table that cannot be read, or a column that is not there.
    """

    def __init__(self, metadata: str | PathLike[str] | pd.DataFrame | None, options: LoopOptions) -> None:
        unknown = [name for name in options if name not in LoopOptions.__annotations__]
        if unknown:
            known = LoopOptions.__annotations__
            raise TypeError(
                f"there is no setting {unknown[0]!r}{close_names(unknown[0], known)}; there are {', '.join(known)}"
            )
        with python_terms():
            self._asked = audit_config(options)
            self._selection = selection(options)
            if metadata is not None:
                _check_columns(metadata, self._asked, self._selection)
        self._metadata = metadata
        self._rules: AuditConfig | None = None
        self._warned: set[str] = set()
        self._is_checked = False
        self.clear()

    def clear(self) -> None:
        """Forgets the cases."""
        self._scores: dict[str, CaseScore] = {}
        self._levels: dict[str, Mapping[str, object]] = {}

    def check(self, cases: Sequence[LoopCase]) -> None:
        """Warns at the first batch, be it audited or not, of cases that the table lacks."""
        if self._is_checked or self._metadata is None:
            return
        self._is_checked = True
        names = [case.name for case in cases]
        with python_terms():
            table = read_metadata(self._metadata, sheet=self._selection.get("sheet"), case_ids=names)
            chosen = {name: value for name, value in self._selection.items() if name != "sheet"}
            try:
                absent = sorted(attach_metadata(table, names, **chosen).absent)
            except MetadataError:  # whose rows they are is told by all cases together
                absent = sorted(names)
        self._warn(absent, table.name)

    def add(self, cases: Sequence[LoopCase], *, spacing: Spacing = None) -> list[CaseScore]:
        """Scores some cases; one that comes again takes the place of the earlier one.

        Args:
            cases: The cases; those without a name are told apart by their order.
            spacing: Lengths of a voxel's edges in mm, for all cases or one each; None: as MONAI's tensors say, and in
                voxels where they do not.

        Raises:
            InputError: Something that is no mask, or two masks of different shapes.
            ConfigError: Some cases have a voxel size and others none.
        """
        sizes, rank = _sizes(spacing, len(cases)), _ranks().rank
        scores = [self._score(case, size) for case, size in zip(cases, sizes, strict=True)]
        for case, score in zip(cases, scores, strict=True):
            # No two processes have the same name for two cases that have none.
            name = case.name or f"{len(self._scores):09} of process {rank}"
            self._scores[name], self._levels[name] = dataclasses.replace(score, case=name), case.levels
        return scores

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that were asked for by name."""
        return self._asked.attributes or ()

    def scores(self) -> dict[str, CaseScore]:
        """The scores of the cases of all processes, in the order of their names."""
        scores, _ = self._gathered()
        return {name: scores[name] for name in sorted(scores)}

    def conclude(self) -> EpochFairness:
        """What the cases come to; all None without any.

        Raises:
            MetadataError: The table has the row of no case.
            ConfigError: An attribute that is not there.
        """
        scores, levels = self._gathered()
        if not scores or self._rules is None:
            return EpochFairness(ChallengeScores(None, None, None, None, None, ()), None, 0)
        table = ScoreTable(protocol_metrics(self._rules.protocol), tuple(scores[name] for name in sorted(scores)))
        if self._metadata is None and not any(levels.values()):
            dsc, normhd = (np.array(table.column(name), dtype=np.float64) for name in ("dsc", "normhd"))
            found = challenge_scores(dsc, normhd, AttributeTable(table.cases, (), {}))
            return EpochFairness(found, None, len(table))
        with python_terms():
            return _judge(self._study(table, levels))

    def _score(self, case: LoopCase, spacing: Sequence[float] | None) -> CaseScore:
        """One case, both masks having the geometry of the label."""
        name = case.name or "this case"
        label = as_mask(case.label, name=f"label of {name}", spacing=spacing)
        prediction = dataclasses.replace(label, array=as_mask(case.prediction, name=f"prediction of {name}").array)
        if prediction.array.shape != label.array.shape:
            raise GeometryError(
                f"case {name}: the label is {_shape(label.array)}, the prediction {_shape(prediction.array)}; hand "
                "over both on one grid, such as Invertd brings back"
            )
        with memory_folder() as folder, python_terms():
            files = Case("", folder / "label.npz", folder / "prediction.npz")
            label.write(folder / "label.npz")
            prediction.write(folder / "prediction.npz")
            self._rules = self._rules or _settled(self._asked, Cohort((files,)))
            score = score_case(files, self._rules.protocol)
        if score.penalised is not None:
            raise GeometryError(f"case {name}: {score.penalised}")
        return score

    def _gathered(self) -> tuple[dict[str, CaseScore], dict[str, Mapping[str, object]]]:
        """The cases of all processes."""
        scores: dict[str, CaseScore] = {}
        levels: dict[str, Mapping[str, object]] = {}
        for of_scores, of_levels in _ranks().gather((self._scores, self._levels)):
            scores |= of_scores
            levels |= of_levels
        return scores, levels

    def _study(self, scores: ScoreTable, levels: Mapping[str, Mapping[str, object]]) -> Study:
        """The groups of the scored cases that the table knows."""
        table, chosen = self._table(scores.cases, levels), dict(self._selection)
        if self._metadata is None:
            chosen["id_column"] = table.columns[0]
        chosen.pop("sheet", None)
        rows = attach_metadata(table, scores.cases, **chosen)
        self._warn(sorted(rows.absent), rows.name)
        cohort = Cohort(
            tuple(Case(name, metadata=rows.of(name)) for name in scores.cases if name not in rows.absent),
            columns=rows.columns,
            id_column=rows.id_column,
            subject_column=rows.subject_column,
            missing=rows.missing,
        )
        known = dataclasses.replace(
            scores, scores=tuple(score for score in scores.scores if score.case not in rows.absent)
        )
        assert self._rules is not None
        config, cohort, _ = settle(self._rules, cohort, known)
        return form_groups(join_levels(cohort, config.join), known, config, None)

    def _table(self, names: Sequence[str], levels: Mapping[str, Mapping[str, object]]) -> Table:
        import pandas as pd

        if self._metadata is not None:
            return read_metadata(self._metadata, sheet=self._selection.get("sheet"), case_ids=names)
        frame = pd.DataFrame([levels[name] for name in names])
        frame.insert(0, next(name for name in ("case", "case id") if name not in frame.columns), list(names))
        return read_metadata(frame, sheet=None, case_ids=names)

    def _warn(self, absent: Sequence[str], table: str) -> None:
        """Names the cases that the table lacks, each once."""
        new = [name for name in absent if name not in self._warned]
        if new:
            self._warned.update(new)
            warnings.warn(
                f"{plural(len(new), 'case')} of the loop without a row in {table}, left out of PS, FS and the worst "
                f"subgroup: {some(new, 10)}",
                stacklevel=3,
            )


def _judge(study: Study) -> EpochFairness:
    """The challenge's scores and the worst subgroup of some cases."""
    config, attributes = study.config, study.attributes
    lattice, _ = search_subgroups(attributes, config.bounds)
    membership = with_levels(lattice, attributes, min_cases=config.min_cases)
    dsc = np.array(study.scores.column("dsc"), dtype=np.float64)
    challenge = challenge_of(study.panel(), study.patients)
    assert challenge is not None  # DSC and NormHD are defined for every pair of masks
    return EpochFairness(challenge, worst_subgroup(membership, dsc, min_cases=config.min_cases), len(dsc))


def _settled(asked: AuditConfig, cohort: Cohort) -> AuditConfig:
    """The settings for masks like those of a cohort, with the metrics alone that are asked of a loop."""
    kept = tuple(name for name in asked.protocol.metrics if name in ("dsc", "normhd") or name.startswith("hd95_"))
    config = dataclasses.replace(asked, protocol=asked.protocol.replace(metrics=kept))
    config = dataclasses.replace(config, protocol=resolve_protocol(config, cohort))
    return resolve_units(config, cohort)


def _check_columns(table: Any, config: AuditConfig, chosen: Mapping[str, Any]) -> None:
    """Refuses, before an hour of training, a table that cannot be read or lacks a column that is asked for."""
    columns = read_metadata(table, sheet=chosen.get("sheet"), case_ids=()).columns
    asked = [*(config.attributes or ()), *config.bins, *config.read_as]
    asked += [chosen[name] for name in ("id_column", "subject_column") if name in chosen]
    for name in asked:
        if name not in columns and name != "none":
            raise ConfigError(
                f"{name}: no such metadata column{close_names(name, columns)}; there are {some(columns, 20)}"
            )


def _sizes(spacing: Spacing, n_cases: int) -> list[Sequence[float] | None]:
    if spacing is None:
        return [None] * n_cases
    per_case = [entry for entry in spacing if isinstance(entry, Sequence)]
    if not per_case:
        return [spacing] * n_cases  # type: ignore[list-item]
    if len(per_case) != n_cases:
        raise ConfigError(f"spacing: there are {len(per_case)} sizes, and {n_cases} cases; give one, or one each")
    return list(per_case)


def _shape(array: Any) -> str:
    return " x ".join(map(str, array.shape))


def _ranks() -> Ranks:
    """This process among those of the loop."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return Ranks()
    return Ranks(distributed.get_rank(), distributed.get_world_size())
