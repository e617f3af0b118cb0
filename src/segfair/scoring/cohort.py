"""Mask files -> per-case scores of a cohort: what was scored before is looked up, one bad file costs one case.

How files become masks is said in `segfair.scoring.reading`, what a pair of masks scores in `segfair.scoring.pairs`.
Aggregates nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from segfair.cases import Case, Cohort
from segfair.errors import InputError
from segfair.files.images.masks import Mask
from segfair.protocol.rules import Protocol
from segfair.remote import shown
from segfair.scoring.calibration.cases import metrics_of, with_probabilities, without_probabilities
from segfair.scoring.executors import outcomes_in_order
from segfair.scoring.label_digest import label_digest
from segfair.scoring.pairs import score_masks, worst_score
from segfair.scoring.reading import (
    about_sizes,
    check_threshold,
    read_label,
    read_prediction,
    size_is_known,
)
from segfair.scoring.score_cache import (
    EMPTY,
    Rules,
    ScoreCache,
    contents_of_label,
    contents_of_prediction,
    names_a_file,
)
from segfair.scoring.scores import CaseScore, ScoreTable

__all__ = [
    "Outcome",
    "score_against",
    "score_case",
    "score_cohort",
    "score_predictions",
]


def score_case(
    case: Case,
    protocol: Protocol,
    *,
    threshold: float | None = None,
    spacing_mm: tuple[float, ...] | None = None,
) -> CaseScore:
    """Reads the two masks of a case and scores them.

    A prediction that is absent, unreadable, no mask or on another grid has the worst score and a reason.

    Args:
        case: The case.
        protocol: The rules.
        threshold: The predictions are probability maps, and lesion is where they reach this value; None: masks.
        spacing_mm: Voxel size of masks whose file does not say it; None: it is not known.

    Raises:
        InputError: The label cannot be used.
        ConfigError: A metric that does not exist or has no unit here, or a threshold where several label values are
            told apart.
    """
    return _OneLabel(case, Rules(protocol, threshold, spacing_mm), None).score(case)


def score_against(
    label: Mask,
    case: Case,
    protocol: Protocol,
    *,
    threshold: float | None = None,
    spacing_mm: tuple[float, ...] | None = None,
    probabilities: bool = False,
    other_tools: bool = False,
) -> CaseScore:
    """Reads the prediction of a case and scores it against a label in memory, so that several share one reading.

    Args:
        label: The case's label.
        case: Says where the prediction lies.
        protocol: The rules.
        threshold: See `score_case`.
        spacing_mm: See `score_case`; the label has been read with it.
        probabilities: Whether the score has the values of the case's probability map, too.
        other_tools: See `score_cohort`.

    Raises:
        ConfigError: A metric that does not exist or has no unit here, or a threshold where several label values are
            told apart.
    """
    check_threshold(threshold, protocol)
    known = size_is_known(label, spacing_mm)
    sizes = about_sizes(label, spacing_mm)
    try:
        prediction = read_prediction(case, label, protocol, threshold, spacing_mm)
    except InputError as error:
        score = worst_score(
            label.array,
            protocol=protocol,
            spacing_mm=label.spacing_mm if known else None,
            axes_mm=label.axes_mm,
            reason=str(error),
            case=case.id,
            sets=label.sets,
            other_tools=other_tools,
        )
        score = without_probabilities(score) if probabilities else score
        return dataclasses.replace(score, alerts=(*_told("label", label), *sizes, *score.alerts))
    label = prediction.label
    score = score_masks(
        label, prediction.mask, has_size=known, protocol=protocol, case=case.id, other_tools=other_tools
    )
    if probabilities:
        score = with_probabilities(score, case, label, prediction, protocol, has_size=known)
    told = (*_told("label", label), *_told("prediction", prediction.mask))
    return dataclasses.replace(
        score,
        alerts=(*told, *prediction.alerts, *sizes, *score.alerts),
        facts={**score.facts, **prediction.facts},
    )


def _told(role: str, mask: Mask) -> tuple[str, ...]:
    """What the reader of a mask noticed."""
    return tuple(f"{role}: {note}" for note in mask.notes)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the predictions of one label.

    Attributes:
        scores: One score each, in order; empty where the label cannot be used.
        reason: Why it cannot.
        n_found: How many of the scores were kept from an earlier run.
        problem: Why a score could not be kept for the next; empty where all were.
    """

    scores: tuple[CaseScore, ...] = ()
    reason: str = ""
    n_found: int = 0
    problem: str = ""

    def with_urls(self) -> Outcome:
        """The same with reasons that name files as the user does; asked where the files were listed."""
        scores = (
            score
            if score.penalised is None and not score.no_probabilities
            else dataclasses.replace(
                score,
                penalised=score.penalised and shown(score.penalised),
                no_probabilities=shown(score.no_probabilities),
            )
            for score in self.scores
        )
        return dataclasses.replace(self, scores=tuple(scores), reason=shown(self.reason))


def score_predictions(
    case: Case, predicted: Sequence[Case], rules: Rules, cache: ScoreCache | None = None, with_empty: bool = False
) -> Outcome:
    """Scores several predictions of one label, which is read once, and not at all where all scores were kept.

    Args:
        case: The case with its label.
        predicted: The same with each of its predictions.
        rules: How they are scored.
        cache: Where scores of earlier runs lie; None: nowhere.
        with_empty: Whether an empty mask is scored as well; its score comes last.

    Raises:
        ConfigError: See `score_case`.
    """
    label = _OneLabel(case, rules, cache)
    try:
        scores = [label.score(entry) for entry in predicted]
        n_found = label.n_found
        if with_empty:
            scores.append(label.score_empty())
    except InputError as error:
        return Outcome(reason=str(error))
    return Outcome(tuple(scores), n_found=n_found, problem=label.problem)


def score_cohort(
    cohort: Cohort,
    protocol: Protocol,
    *,
    threshold: float | None = None,
    spacing_mm: tuple[float, ...] | None = None,
    other_tools: bool = False,
    executor: Executor | None = None,
    cache: ScoreCache | None = None,
    on_done: Callable[[str], None] | None = None,
    strict: bool = False,
) -> ScoreTable:
    """Scores every case of a cohort; one bad file costs that case only.

    Args:
        cohort: The cases that count.
        protocol: The rules.
        threshold: See `score_case`.
        spacing_mm: See `score_case`.
        other_tools: Whether each case is scored by the definitions of other tools as well, see `CaseScore.by_tools`.
        executor: Where cases are scored (processes, threads, a cluster); None: one after the other, here. The
            result is the same.
        cache: Where scores of earlier runs lie, and those of this one are kept; None: nowhere. The result is the same.
        on_done: Called here with each case id, in cohort order, once it has been scored or excluded.
        strict: Whether the first penalised or excluded case is an error.

    Returns:
        The scores in cohort order; a case with an unusable label is in `excluded`.

    Raises:
        InputError: `strict`, and a file is unusable.
        ConfigError: A metric that does not exist or has no unit here, or a threshold where several label values are
            told apart.
        AuditError: A worker process died.
    """
    columns = metrics_of(cohort, protocol)
    check_threshold(threshold, protocol)
    rules = Rules(protocol, threshold, spacing_mm, cohort.has_probabilities, other_tools)
    # A worker needs the files of its case, not the patient's metadata.
    bare = (dataclasses.replace(case, metadata={}) for case in cohort)
    jobs = ((case.id, (case, [case], rules, cache)) for case in bare)
    scores: list[CaseScore] = []
    excluded: dict[str, str] = {}
    with outcomes_in_order(score_predictions, jobs, executor) as outcomes:
        for case, found in outcomes:
            outcome = found.with_urls()
            reason = outcome.reason or outcome.scores[0].penalised or outcome.scores[0].no_probabilities
            if strict and reason:
                raise InputError(f"case {case}: {reason}; mend or remove it, or leave out --strict")
            if outcome.reason:
                excluded[case] = outcome.reason
            scores += outcome.scores
            if cache is not None:
                cache.count(len(outcome.scores) or 1, n_found=outcome.n_found, problem=outcome.problem)
            if on_done is not None:
                on_done(case)
    return ScoreTable(columns, tuple(scores), excluded)


@dataclass(slots=True)
class _OneLabel:
    """A label in memory once it is needed, and the scores of predictions against it."""

    case: Case
    rules: Rules
    cache: ScoreCache | None
    n_found: int = 0
    problem: str = ""
    _mask: Mask | None = None
    _digest: str = ""
    _contents: str | None = None

    def __post_init__(self) -> None:
        if self.cache is not None:
            self._contents = contents_of_label(self.case)

    def score(self, case: Case) -> CaseScore:
        """The score of one prediction."""
        contents = contents_of_prediction(case) if self._contents is not None else None
        return self._kept(case, contents, lambda: self._scored(case))

    def score_empty(self) -> CaseScore:
        """The score of a prediction without a voxel."""
        return self._kept(self.case, EMPTY, self._scored_empty)

    def _kept(self, case: Case, contents: str | None, compute: Callable[[], CaseScore]) -> CaseScore:
        if self.cache is None or self._contents is None or contents is None:
            return compute()
        key = self.cache.key(case, self.rules, self._contents, contents)
        found = self.cache.find(key)
        if found is not None:
            self.n_found += 1
            return dataclasses.replace(found, case=case.id)
        score = compute()
        if not names_a_file(score, case):
            self.problem = self.cache.keep(key, score) or self.problem
        return score

    def _scored(self, case: Case) -> CaseScore:
        label, rules = self._read(), self.rules
        score = score_against(
            label,
            case,
            rules.protocol,
            threshold=rules.threshold,
            spacing_mm=rules.spacing_mm,
            probabilities=rules.with_probabilities,
            other_tools=rules.other_tools,
        )
        return dataclasses.replace(score, label_sha256=self._digest)

    def _scored_empty(self) -> CaseScore:
        label, rules = self._read(), self.rules
        known = size_is_known(label, rules.spacing_mm)
        return score_masks(label, label.emptied(), has_size=known, protocol=rules.protocol, case=self.case.id)

    def _read(self) -> Mask:
        if self._mask is None:
            self._mask = read_label(self.case, spacing_mm=self.rules.spacing_mm)
            self._digest = label_digest(self._mask, self.rules.protocol)
        return self._mask
