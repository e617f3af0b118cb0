"""An audit whose cases were labelled by several raters, from masks to the facts about them."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from segfair.audit.choices.labels import resolve_protocol
from segfair.audit.procedure import run_audit
from segfair.audit.raters.gaps import compare_raters
from segfair.audit.raters.labels import RatedLabels, put_together, raters_of
from segfair.audit.result import AuditConfig, AuditResult
from segfair.audit.second_labels import measure_again
from segfair.audit.words import plural
from segfair.cases import Cohort
from segfair.errors import ConfigError, InputError, in_words
from segfair.intake.mask_values import with_pictures
from segfair.intake.rater_labels import RaterLabels, against_labels
from segfair.protocol.rules import Protocol
from segfair.remote import shown
from segfair.scoring.cohort import score_cohort
from segfair.scoring.score_cache import ScoreCache
from segfair.scoring.scores import ScoreTable

__all__ = ["Rating", "Reference", "rating"]

Reference = Literal["first", "majority", "staple"]


@dataclass(frozen=True, slots=True)
class Rating:
    """The raters of an audit that is about to be made.

    Attributes:
        cohort: The cases, with the paths of the other labels among its inputs.
        raters: Rater -> labels, that of the labels first.
        reference: What the audit measures with.
        folder: Where labels in common are written.
    """

    cohort: Cohort
    raters: Mapping[str, RaterLabels]
    reference: Reference
    folder: Path

    @property
    def kind(self) -> Literal["one", "two", "several"]:
        """One rater; two, of whom the first is the reference; anything else."""
        if len(self.raters) == 1:
            return "one"
        return "two" if len(self.raters) == 2 and self.reference == "first" else "several"

    @property
    def drawn_by(self) -> str:
        """Whose labels the audit measures with; empty where these are what the raters have in common."""
        return next(iter(self.raters)) if self.reference == "first" else ""

    def run(
        self,
        config: AuditConfig,
        *,
        executor: Executor | None = None,
        cache: ScoreCache | None = None,
        on_done: Callable[[str], None] | None = None,
    ) -> tuple[AuditResult, Cohort]:
        """The audit, and the cohort with the labels that it measured with.

        Args:
            config: The settings.
            executor: Where masks are scored; None: in this process.
            cache: See `segfair.scoring.cohort.score_cohort`.
            on_done: Called with each case id once it is scored.

        Raises:
            AuditError, ConfigError, InputError: As `segfair.audit.procedure.run_audit`.
        """
        if config.unit == "lesion" and self.kind != "one":
            raise ConfigError("--unit lesion: takes labels of one rater; leave out the others, or audit cases")
        where: dict[str, Any] = {"executor": executor, "cache": cache}
        if self.kind == "several":
            return self._several(config, executor, cache, on_done)
        result = run_audit(self.cohort, config, on_done=on_done, **where)
        if self.kind == "two":
            labels, second = self.cohort.inputs.get("labels2", Path()), tuple(self.raters.values())[1]
            result = measure_again(result, self.cohort, labels, rater=second, **where)
        return result, self.cohort

    def _several(
        self,
        config: AuditConfig,
        executor: Executor | None,
        cache: ScoreCache | None,
        on_done: Callable[[str], None] | None,
    ) -> tuple[AuditResult, Cohort]:
        protocol = resolve_protocol(config, self.cohort)
        rated = put_together(
            self.cohort, self.raters, protocol, self.folder, spacing_mm=config.spacing_mm, executor=executor
        )
        cohort, name = self.cohort, next(iter(self.raters))
        if self.reference != "first":
            name, cohort = self.reference, rated.common[self.reference]
        cohort = dataclasses.replace(cohort, notices=(*self.cohort.notices, *self._told(rated)))
        result = run_audit(cohort, config, executor=executor, cache=cache, on_done=on_done)
        settled = result.about.config

        def scored(cases: Cohort, *metrics: str) -> ScoreTable:
            rules = settled.protocol.replace(metrics=metrics) if metrics else settled.protocol
            threshold = None if metrics else settled.threshold
            return score_cohort(
                cases, rules, threshold=threshold, spacing_mm=settled.spacing_mm, executor=executor, cache=cache
            )

        rulers: dict[str, Cohort] = {**dict[str, Cohort](rated.common.items()), **rated.raters}
        scores = {ruler: scored(cases) for ruler, cases in rulers.items() if ruler != name}
        pairs = {
            (first, second): scored(_against(rated.raters[first], rated.raters[second], protocol), "dsc")
            for first, second in combinations(rated.raters, 2)
        }
        facts = compare_raters(result, rated, scores, pairs, reference=name)
        return dataclasses.replace(result, subgroups=dataclasses.replace(result.subgroups, raters=facts)), cohort

    def _told(self, rated: RatedLabels) -> list[str]:
        """Who the raters are, what is measured with, and what is amiss."""
        names = list(rated.raters)
        measured = {"first": names[0], "majority": "the majority", "staple": "STAPLE"}[self.reference]
        told = [f"raters: {', '.join(names)}; measured with the labels of {measured}"]
        fewer = [case for case, n_raters in rated.n_raters.items() if n_raters < len(names)]
        if fewer:
            told.append(f"cases that fewer than {len(names)} raters labelled: {len(fewer)}; what there is counts")
        n_tied = sum(n > 0 for n in rated.tied.values())
        if n_tied:
            told.append(
                f"majority: raters are tied about {plural(sum(rated.tied.values()), 'voxel')} in "
                f"{plural(n_tied, 'case')}, which count as background"
            )
        for name, reasons in rated.left_out.items():
            case, reason = next(iter(reasons.items()))
            told.append(f"labels of {name} that cannot be used: {len(reasons)} ({case}: {shown(reason)})")
        return told


@contextmanager
def rating(
    cohort: Cohort, labels2: Sequence[Path] = (), *, reference: Reference = "first", cache: ScoreCache | None = None
) -> Iterator[Rating]:
    """The raters of an audit, while their labels in common lie in a folder of their own.

    Args:
        cohort: The cases, with the first rater's labels, and those of others where a table of paths lists them.
        labels2: Folders of further raters' labels, named as the first.
        reference: What the audit measures with.
        cache: Its folder can be seen by whoever scores, and so can what is put there.

    Raises:
        InputError: A folder that cannot be used.
        PairingError: A rater who labelled none of the cases, or the same files twice.
        ConfigError: A reference without a second rater.
    """
    raters = raters_of(cohort, labels2)
    if len(raters) == 1 and reference != "first":
        raise ConfigError(
            f"--reference {reference}: takes the labels of other raters; name their folders with --labels2, or give "
            "the table of paths a column label2"
        )
    places = [cohort.inputs["labels"]] if cohort.raters and cohort.inputs else []
    inputs = {f"labels{number}": path for number, path in enumerate((*places, *labels2), start=2)}
    cohort = dataclasses.replace(cohort, inputs={**cohort.inputs, **inputs})
    if len(raters) == 1:
        yield Rating(cohort, raters, reference, Path())
        return
    with _passing_folder(cache) as folder:
        yield Rating(cohort, raters, reference, Path(folder))


def _passing_folder(cache: ScoreCache | None) -> tempfile.TemporaryDirectory[str]:
    """A folder that is gone afterwards: in that of the cache, which whoever scores can see, else where the system says.

    Raises:
        InputError: Nothing can be written there.
    """
    if cache is not None:
        with contextlib.suppress(OSError):
            cache.folder.mkdir(parents=True, exist_ok=True)
            return tempfile.TemporaryDirectory(prefix="raters-", dir=cache.folder)
    try:
        return tempfile.TemporaryDirectory(prefix="segfair-raters-")
    except OSError as error:
        raise InputError(
            f"labels in common cannot be written ({in_words(error)}); name a folder with --cache, or set TMPDIR"
        ) from error


def _against(first: Cohort, second: Cohort, protocol: Protocol) -> Cohort:
    """The cases that both raters labelled, the second one's labels as predictions."""
    return with_pictures(dataclasses.replace(against_labels(first, second), grey_levels=None), protocol)
