"""Whether two audits can be compared at all: same rules, same labels, same bins; and what to know where they differ.

Refuses with a sentence that says what differs and how to make it equal; compares no score.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import AttributeTable
from segfair.audit.choices.outcomes import absolute_name
from segfair.audit.panel import Panel
from segfair.audit.result import AuditConfig, AuditResult, Direction
from segfair.compare.result import Side
from segfair.errors import ConfigError, InputError, close_names
from segfair.subgroups.lattice import Better

__all__ = [
    "SETTINGS",
    "Paired",
    "choose_outcome",
    "direction",
    "metric_direction",
    "notices",
    "require_same_bins",
    "require_same_labels",
    "require_same_rules",
    "require_same_scoring",
    "share_cases",
    "side_of",
]

SETTINGS = ("level", "min_support", "min_cases", "max_items", "max_subgroups", "permutations", "bootstrap", "seed")
"""Settings that may differ: those of the first audit hold."""


def side_of(result: AuditResult, name: str) -> Side:
    """One of the audits, as results name it."""
    counts = result.cases.counts
    return Side(name, counts.n_scored, len(counts.penalised), len(counts.excluded), dict(result.about.inputs))


def share_cases(before: AuditResult, after: AuditResult) -> bool:
    """Whether two audits have a case in common, or it cannot be known: then they are to be compared paired."""
    if before.about.pseudonym_key != after.about.pseudonym_key or before.about.shared or after.about.shared:
        return True
    mine, theirs = (
        set(result.cases.scores.column("case")) if result.cases.scores.rows else set() for result in (before, after)
    )
    return not mine or not theirs or bool(mine & theirs)


def require_same_rules(before: AuditResult, after: AuditResult) -> None:
    """Refuses audits whose cases cannot be told to be the same, and other rules (`require_same_scoring`).

    Raises:
        InputError: Naming what differs.
    """
    if before.about.shared or after.about.shared:
        raise InputError("an audit that was made to be shared has no rows of cases to pair; compare the full ones")
    if before.about.pseudonym_key != after.about.pseudonym_key:
        raise InputError(
            "the cases of the two audits go by other names (ids, or pseudonyms under another key); audit both with the "
            "same --pseudonymise key, or both without"
        )
    require_same_scoring(before, after)


def require_same_scoring(before: AuditResult, after: AuditResult) -> None:
    """Refuses other protocols, metrics of another direction, and another meaning of unusable predictions.

    Raises:
        InputError: Naming what differs.
    """
    one, other = (_rules(result) for result in (before, after))
    differing = sorted(key for key in {*one, *other} if one.get(key) != other.get(key))
    if differing:
        names = (before.about.config.protocol.name, after.about.config.protocol.name)
        listed = "; ".join(f"{key} is {one.get(key)!r} and {other.get(key)!r}" for key in differing[:3])
        more = f"; and {len(differing) - 3} more rules" if len(differing) > 3 else ""
        labels = " and the same --label" if any(key.startswith(("label", "regions")) for key in differing) else ""
        raise InputError(
            f"the two audits were scored by other rules (protocols {names[0]} and {names[1]}: {listed}{more}); audit "
            f"both with the same --protocol{labels}"
        )
    theirs = {metric.name: metric for metric in after.cases.metrics}
    for metric in before.cases.metrics:
        found = theirs.get(metric.name)
        if found is not None and (metric.better, metric.unit) != (found.better, found.unit):
            raise InputError(
                f"{metric.name}: {metric.better} is better in one audit ({metric.unit or 'no unit'}) and "
                f"{found.better} in the other ({found.unit or 'no unit'}); audit both alike, see --lower-is-better"
            )
    rules = [result.about.config.missing_prediction or "worst" for result in (before, after)]
    unusable = [
        len(result.cases.counts.penalised)
        + sum(reason.startswith("dropped") for reason in result.cases.counts.excluded.values())
        for result in (before, after)
    ]
    if rules[0] != rules[1] and any(unusable):
        raise InputError(
            f"unusable predictions count as {rules[0]!r} in one audit ({unusable[0]} of them) and as {rules[1]!r} in "
            f"the other ({unusable[1]}); audit both with the same --missing-prediction"
        )


def _rules(result: AuditResult) -> dict[str, Any]:
    """The protocol as flat keys, without what scores nothing: its name, its gates, and which metrics are listed."""

    def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
        for key, value in tree.items():
            if isinstance(value, Mapping):
                yield from flatten(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", value

    tree = result.about.config.protocol.to_dict()
    return dict(flatten({key: value for key, value in tree.items() if key not in ("name", "gates", "metrics")}))


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """The cases that two audits have in common, and those that one of them has alone.

    Attributes:
        before, after: The common cases, in the same order.
        only_before, only_after: The others.
    """

    before: Panel
    after: Panel
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]

    @classmethod
    def of(cls, before: AuditResult, after: AuditResult) -> Paired:
        """Pairs the cases of two audits.

        Raises:
            InputError: An audit was written without the scores of its cases, or they have no case in common.
        """
        if not before.cases.scores.rows or not after.cases.scores.rows:
            raise InputError("an audit.json without the scores of its cases cannot be compared; use the one not shared")
        first, second = Panel.of_result(before), Panel.of_result(after)
        known = [set(panel.case_ids) for panel in (first, second)]
        cases = [case for case in first.case_ids if case in known[1]]
        if not cases:
            raise InputError("the two audits have no case in common; compare audits of the same cases")
        return cls(
            first.of_cases(cases),
            second.of_cases(cases),
            tuple(case for case in first.case_ids if case not in known[1]),
            tuple(case for case in second.case_ids if case not in known[0]),
        )

    @property
    def cases(self) -> tuple[str, ...]:
        """The common cases."""
        return self.before.case_ids

    @property
    def panels(self) -> tuple[Panel, Panel]:
        """Before and after."""
        return self.before, self.after

    @property
    def config(self) -> AuditConfig:
        """The first audit's settings, which hold."""
        return self.before.config

    @property
    def subjects(self) -> NDArray[np.intp] | None:
        """(n_cases,) codes of patients as the first audit has them."""
        return self.before.units.subjects

    @property
    def attributes(self) -> AttributeTable:
        """The attributes that both audits have."""
        theirs = {entry.name for entry in self.after.attributes.attributes}
        kept = tuple(entry for entry in self.before.attributes.attributes if entry.name in theirs)
        return dataclasses.replace(self.before.attributes, attributes=kept)

    @property
    def scores(self) -> dict[str, NDArray[np.float64]]:
        """Metric -> (2, n_cases), before and after; NaN where undefined."""
        after = self.after.scores
        return {name: np.array([mine, after[name]]) for name, mine in self.before.scores.items() if name in after}

    def stream(self, purpose: str) -> np.random.Generator:
        """Randomness of its own for each purpose."""
        return self.before.stream(f"compare/{purpose}")

    @property
    def shared_attributes(self) -> tuple[str, ...]:
        """Names of the attributes that both have."""
        return tuple(entry.name for entry in self.attributes.attributes)


def require_same_labels(before: AuditResult, after: AuditResult, paired: Paired) -> None:
    """Refuses audits against other labels: the masks are not at hand, but their digests or at least volumes may be.

    Raises:
        InputError: Naming the first case whose label differs.
    """
    digests = [result.cases.counts.label_sha256 for result in (before, after)]
    cases = paired.cases
    for case, one, other in zip(cases, *map(_volumes, paired.panels), strict=True):
        if abs(one - other) > 1e-6 * max(abs(one), abs(other)):
            raise InputError(
                f"case {case}: its label has {one:g} mm³ in one audit and {other:g} mm³ in the other; the audits were "
                "made against other labels, so audit both against the same"
            )
        if all(case in known for known in digests) and digests[0][case] != digests[1][case]:
            differing = sum(
                digests[0][name] != digests[1][name] for name in cases if all(name in known for known in digests)
            )
            raise InputError(
                f"case {case}: its label has other voxels in the other audit (as have {differing} of {len(cases)} "
                "labels); the audits were made against other labels, so audit both against the same"
            )


def _volumes(panel: Panel) -> NDArray[np.float64]:
    """(n_cases,) volumes of the labels; NaN where not known, which differs from none."""
    return panel.scores.get("volume", np.full(len(panel), np.nan))


def require_same_bins(before: AuditResult, after: AuditResult, paired: Paired) -> None:
    """Refuses attributes that were binned otherwise, or whose levels differ for a case.

    Raises:
        InputError: Naming the attribute, and the case.
    """
    shared = paired.shared_attributes
    joins = ["; ".join(map(str, result.about.config.join)) or "none" for result in (before, after)]
    joined = f" (--join is {joins[0]} in one and {joins[1]} in the other)" if joins[0] != joins[1] else ""
    levels = [panel.attributes.labels() for panel in paired.panels]
    for name in shared:
        mine, theirs = before.attributes.bins[name], after.attributes.bins[name]
        if (mine.column, mine.edges) != (theirs.column, theirs.edges):
            hint = f"--bins {mine.column}=" + ",".join(f"{edge:g}" for edge in mine.edges) if mine.edges else "--bins"
            raise InputError(
                f"attribute {name}: binned at {list(mine.edges)} of {mine.column} in one audit and at "
                f"{list(theirs.edges)} of {theirs.column} in the other; give both the same {hint}"
            )
        for case, one, other in zip(paired.cases, *(table[name] for table in levels), strict=True):
            if one != other:
                raise InputError(
                    f"case {case}: {name} is {one or 'missing'} in one audit and {other or 'missing'} in the other; "
                    f"audit both with the same metadata, --bins and --join{joined}"
                )
    if before.cases.scores.attributes and after.cases.scores.attributes and not shared:
        raise InputError(
            f"the two audits have no attribute in common ({', '.join(before.cases.scores.attributes)}; "
            f"{', '.join(after.cases.scores.attributes)}); audit both with the same --attributes"
        )


def choose_outcome(before: AuditResult, after: AuditResult, outcome: str | None) -> str:
    """The outcome that decides who was harmed; None: the primary one of both.

    Raises:
        InputError: The primary outcomes differ.
        ConfigError: Not a metric of both audits, or one without a direction.
    """
    if outcome is None:
        outcome, other = before.subgroups.primary_outcome, after.subgroups.primary_outcome
        if outcome != other:
            raise InputError(f"the primary outcomes differ: {outcome} and {other}; choose one with --outcome")
    known = [name for name in before.cases.scores.metrics if name in after.cases.scores.metrics]
    if outcome in known and metric_direction(before, outcome) == "signed":
        if absolute_name(outcome) not in known:
            raise ConfigError(
                f"--outcome {outcome}: is best at zero, so neither a rise nor a fall is a gain; audit both with "
                f"--outcome {outcome}, which judges its absolute value"
            )
        outcome = absolute_name(outcome)
    if outcome not in known:
        meant, both = close_names(outcome, known), ", ".join(known) or "none"
        raise ConfigError(f"--outcome {outcome}: not a metric of both audits{meant}; these are {both}")
    if metric_direction(before, outcome) == "neither" and outcome not in before.subgroups.outcomes:
        raise ConfigError(f"--outcome {outcome}: neither higher nor lower is better, so nobody gains or is harmed")
    return outcome


def metric_direction(result: AuditResult, name: str) -> Direction:
    """Whether "higher" or "lower" values of a metric are better; "signed" (best at zero) or "neither"."""
    return next(metric.better for metric in result.cases.metrics if metric.name == name)


def direction(result: AuditResult, name: str) -> Better:
    """Which values of an outcome are better."""
    if name in result.subgroups.outcomes:
        return result.subgroups.outcomes[name].better
    return "lower" if metric_direction(result, name) == "lower" else "higher"


def notices(before: AuditResult, after: AuditResult, paired: Paired, *, outcome: str) -> tuple[str, ...]:
    """What a reader has to know where the audits differ in something that does not forbid to compare them."""
    return (
        *_unpaired(paired, outcome),
        *_attributes_of_one(before, after),
        *_other_settings(before.about.config, after.about.config),
        *_other_sources(before, after),
        *_unknown_labels(before, after, paired),
    )


def _unpaired(paired: Paired, outcome: str) -> list[str]:
    """Cases of one audit only, and paired ones without a value."""
    found = []
    for which, missing in (("first", paired.only_before), ("second", paired.only_after)):
        if missing:
            listed = ", ".join(sorted(missing)[:5]) + (" and others" if len(missing) > 5 else "")
            found.append(f"in the {which} audit only, so compared nowhere: {len(missing)} cases ({listed})")
    first, second = (np.isfinite(panel.scores[outcome]) for panel in paired.panels)
    if not (first & second).all():
        found.append(
            f"{outcome}: {int((~(first & second)).sum())} of {len(paired.cases)} paired cases are left out; without "
            f"a value in the first audit only: {int((~first & second).sum())}, in the second only: "
            f"{int((first & ~second).sum())}"
        )
    return found


def _attributes_of_one(before: AuditResult, after: AuditResult) -> list[str]:
    first, second = (result.cases.scores.attributes for result in (before, after))
    alone = [*(name for name in first if name not in second), *(name for name in second if name not in first)]
    return [f"attributes of one audit only, so not compared: {', '.join(alone)}"] if alone else []


def _other_settings(first: AuditConfig, second: AuditConfig) -> list[str]:
    differing = [name for name in (*SETTINGS, "primary") if getattr(first, name) != getattr(second, name)]
    found = [
        f"{name} is {getattr(first, name)} in the first audit and {getattr(second, name)} in the second; the first"
        " holds"
        for name in differing
    ]
    if first.threshold != second.threshold:
        first_rule, second_rule = (
            "masks" if value is None else f"probabilities cut at {value:g}"
            for value in (first.threshold, second.threshold)
        )
        found.append(
            f"--threshold differs: the first audit scored {first_rule}, the second {second_rule}; what changed may "
            "be due to that"
        )
    joins = ["; ".join(sorted(map(str, config.join))) or "not given" for config in (first, second)]
    if joins[0] != joins[1]:
        found.append(
            f"--join is {joins[0]} in the first audit and {joins[1]} in the second; the levels of paired cases agree"
        )
    for name, option, how in (
        ("stratify", "--stratify", "here cases are permuted over the whole cohort"),
        ("subject_column", "--subject-column", "the first one's view of which cases are of one patient holds"),
    ):
        mine, theirs = (getattr(config, name) or "not given" for config in (first, second))
        if mine != theirs:
            found.append(f"{option} is {mine} in the first audit and {theirs} in the second; {how}")
    return found


def _other_sources(before: AuditResult, after: AuditResult) -> list[str]:
    found = []
    if bool(before.cases.scores.subjects) != bool(after.cases.scores.subjects):
        found.append("only one of the audits knows which cases are of one patient; the first one's view holds")
    if ("scores" in before.about.inputs) != ("scores" in after.about.inputs):
        found.append("one audit scored masks, the other read a table of scores: whether by the same rules is not known")
    return found


def _unknown_labels(before: AuditResult, after: AuditResult, paired: Paired) -> list[str]:
    """Says where it is not known whether the labels are the same."""
    if not any(
        {"labels", "scores"} & result.about.inputs.keys() or result.cases.counts.label_sha256
        for result in (before, after)
    ):
        return []  # made in memory, such as by a training on its own labels
    digests = [result.cases.counts.label_sha256 for result in (before, after)]
    cases = paired.cases
    unknown = [index for index, case in enumerate(cases) if not all(case in known for known in digests)]
    if not unknown:
        return []
    volumes = all(np.isfinite(_volumes(panel)[unknown]).all() for panel in paired.panels)
    how = "only the volumes of the labels could be compared" if volumes else "the labels could not be compared"
    return [
        f"for {len(unknown)} of {len(cases)} paired cases {how}: whether both audits were made against the same labels "
        "is not known"
    ]
