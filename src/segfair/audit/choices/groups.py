"""Which groups an audit looks at: attributes of patients, bins that are learned, what the masks derive."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from segfair.attributes.binning import as_number
from segfair.attributes.fit import AttributeTable, BinningPlan, fit_attributes
from segfair.attributes.tree_bins import learn_edges, split_halves
from segfair.audit.design import Design, build_design, derive_columns, with_units
from segfair.audit.panel import Panel
from segfair.audit.result import AuditConfig
from segfair.cases import Cohort
from segfair.errors import ConfigError, close_names
from segfair.scoring.scores import ScoreTable

__all__ = ["Study", "form_groups"]


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """The audited cases with their scores and groups.

    Attributes:
        cohort: The audited cases.
        described: The same with what the masks say about them as further columns.
        scores: Their scores.
        attributes: Their attributes, those that masks derive last.
        patients: The attributes of patients alone, which FS is made of.
        plan: How attributes were made.
        taught: Cases that taught the bins, and are not audited.
        config: The settings that hold.
    """

    cohort: Cohort
    described: Cohort
    scores: ScoreTable
    attributes: AttributeTable
    patients: AttributeTable
    plan: BinningPlan
    taught: tuple[str, ...]
    config: AuditConfig

    def panel(self) -> Panel:
        """The cases as arrays."""
        units = self.design(np.arange(len(self.scores))).units
        return Panel.of_scores(self.scores, self.attributes, units, self.config)

    def select(self, where: np.ndarray) -> Study:
        """The cases `where`, their groups made as before."""
        ids = [self.scores.cases[index] for index in where]

        def of(cohort: Cohort) -> Cohort:
            cases = {case.id: case for case in cohort}
            return dataclasses.replace(cohort, cases=tuple(cases[case] for case in ids))

        return dataclasses.replace(
            self,
            cohort=of(self.cohort),
            described=of(self.described),
            scores=dataclasses.replace(self.scores, scores=tuple(self.scores.scores[index] for index in where)),
            attributes=self.attributes.select(where),
            patients=self.patients.select(where),
        )

    def design(self, where: np.ndarray, *, outcome: str = "") -> Design:
        """How the cases `where` were sampled; with an outcome, what it is adjusted for."""
        return build_design(
            self.described,
            self.scores,
            where,
            config=self.config,
            outcome=outcome,
            attributes=self.attributes.attributes,
        )


def form_groups(cohort: Cohort, scores: ScoreTable, config: AuditConfig, plan: BinningPlan | None) -> Study:
    """Forms the groups of the scored cases.

    Args:
        cohort: The cohort, cases without a score included.
        scores: The scores.
        config: The settings that hold.
        plan: How attributes were made on other cases; None: they are fitted here.

    Raises:
        ConfigError: An attribute or column that is not there.
    """
    scored = dict.fromkeys(scores.cases)
    audited = dataclasses.replace(cohort, cases=tuple(case for case in cohort if case.id in scored))
    audited, scores, edges = _learn_bins(audited, scores, config)
    kept = set(audited.ids)
    plan = plan or fit_attributes(
        audited,
        protocol=config.protocol,
        chosen=config.attributes,
        edges=edges,
        subject_column=config.subject_column,
        read_as=config.read_as,
        joins=config.join,
    )
    patients = _name_teachers(plan.apply(audited), config, n_teachers=len(scored) - len(audited))
    described, terciles = derive_columns(audited, scores) if config.derive else (audited, {})
    attributes = _with_derived(patients, audited, described, terciles, config, scores)
    taught = tuple(case for case in scored if case not in kept)
    return Study(audited, described, scores, attributes, patients, plan, taught, config)


def _learn_bins(
    cohort: Cohort, scores: ScoreTable, config: AuditConfig
) -> tuple[Cohort, ScoreTable, dict[str, tuple[float, ...]]]:
    """Edges for all binned columns; those learned by a tree cost half of the cases, which taught them."""
    edges = {name: bins for name, bins in config.bins.items() if bins != "tree"}
    learned = [name for name, bins in config.bins.items() if bins == "tree"]
    if not learned:
        return cohort, scores, edges
    where, values = scores.defined(config.outcomes[0])
    subjects = build_design(cohort, scores, where, config=dataclasses.replace(config, stratify=None)).units.subjects
    teachers, rest = (
        where[half] for half in split_halves(len(where), rng=config.resampling.stream("bins"), subjects=subjects)
    )
    outcome = dict(zip(where.tolist(), values.tolist(), strict=True))
    for name in learned:
        if name not in cohort.columns:
            meant = close_names(name, cohort.columns)
            known = ", ".join(cohort.columns)
            raise ConfigError(f"--bins {name}=tree: no such metadata column{meant}; there are {known}")
        column = cohort.column(name)
        edges[name] = learn_edges(
            [as_number(column[index]) for index in teachers],
            np.array([outcome[index] for index in teachers]),
            min_cases=config.min_cases,
            name=name,
        )
    notice = (
        f"the bins of {', '.join(learned)} were learned on {len(teachers)} cases; the other {len(rest)} are audited"
    )
    kept = dataclasses.replace(
        cohort, cases=tuple(cohort.cases[index] for index in rest), notices=(*cohort.notices, notice)
    )
    return kept, dataclasses.replace(scores, scores=tuple(scores.scores[index] for index in rest)), edges


def _name_teachers(attributes: AttributeTable, config: AuditConfig, *, n_teachers: int) -> AttributeTable:
    """Says of the bins that were learned what taught them."""
    learned = {name for name, bins in config.bins.items() if bins == "tree"}
    words = f"a regression tree of {config.outcomes[0]} on {n_teachers:,} other cases, which are not audited"
    return dataclasses.replace(
        attributes,
        attributes=tuple(
            dataclasses.replace(entry, binning=words) if learned.intersection((entry.name, entry.column)) else entry
            for entry in attributes.attributes
        ),
    )


def _with_derived(
    attributes: AttributeTable,
    cohort: Cohort,
    with_facts: Cohort,
    terciles: Mapping[str, tuple[float, ...]],
    config: AuditConfig,
    scores: ScoreTable,
) -> AttributeTable:
    """The patients' attributes and, with `--derive`, behind them what the masks say; those join the lattice only."""
    if config.derive:
        new = [column for column in with_facts.columns if column not in cohort.columns]
        varying = [column for column in new if len(set(with_facts.column(column))) > 1]
        plan = fit_attributes(with_facts, protocol=config.protocol, chosen=varying, edges=terciles)
        derived = with_units(plan.apply(with_facts), scores)
        constant = {column: "the same for every case" for column in new if column not in varying}
        attributes = dataclasses.replace(
            attributes,
            attributes=(*attributes.attributes, *derived.attributes),
            left_out={**attributes.left_out, **constant},
            notices=(*attributes.notices, *derived.notices),
        )
    names = [entry.name for entry in attributes.attributes]
    for name in config.primary:
        if name not in names:
            raise ConfigError(
                f"--primary {name}: not an attribute of this audit{close_names(name, names)}; there are "
                f"{', '.join(names) or 'none'}"
            )
    return attributes
