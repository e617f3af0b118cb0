"""The answer of an audit in plain words, and what it means in cases: the verdict and the estimate of the report.

No term of statistics is left unexplained; no number is made here but counts and medians of the rows of cases.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from segfair.audit.design import LESION_VOLUME
from segfair.audit.judging.causes import PENALISED
from segfair.audit.judging.verdict import FOUND, headline
from segfair.audit.panel import Panel
from segfair.audit.result import AuditResult, Finding
from segfair.audit.words import clean, harmful, largest_deficit
from segfair.report.audit.summary import outcome_digits
from segfair.report.parts import Data
from segfair.report.signing.language import Language
from segfair.report.signing.measures import boundary_column, length_unit, outcome_name, outcome_note
from segfair.subgroups.lattice import Adjusted, Divergence, Estimate

__all__ = ["answer_section", "answer_title", "failed_cases", "spoken_of"]

_TONES = {FOUND: ("▲", "worse"), "no gap beyond the declared margin": ("●", "better")}


def spoken_of(result: AuditResult) -> Divergence | None:
    """The subgroup that the summary speaks of: the one that was found, even where it is better, else the report's."""
    if result.verdict.kind == FOUND and result.verdict.groups:
        row = result.subgroups.find(result.verdict.groups[0])
        if row is not None:
            return row
    return headline(result)


def answer_title(language: Language, kind: str) -> str:
    """The verdict in a word."""
    return {
        FOUND: language.say("A difference was found"),
        "no gap beyond the declared margin": language.say("No difference beyond the declared margin"),
        "no difference shown": language.say("No difference was shown"),
        "open": language.say("Open at the margin"),
        "too few cases": language.say("Too few cases to judge"),
    }.get(kind) or clean(kind[:1].upper() + kind[1:])


def answer_section(result: AuditResult, language: Language) -> Data:
    """The answer, then what it means.

    Returns:
        Title, mark and tone; `lead`, one sentence; `reasons` and `meaning`, further ones; `note`, what the outcome is.
    """
    kind, row = result.verdict.kind, spoken_of(result)
    outcome = result.subgroups.primary_outcome
    mark, tone = _TONES.get(kind, ("◆", "open"))
    found = kind == FOUND and row is not None and row.rest_mean is not None
    return {
        "title": answer_title(language, kind),
        "mark": mark,
        "tone": tone,
        "lead": _found(row, result, language) if found and row is not None else _not_found(result, language),
        "reasons": [
            *(_evidence(row, result, language) if found and row is not None else _likeliest(row, result, language)),
            *_doubts(result, language),
        ],
        "meaning": _meaning(row, result, language) if row is not None else [],
        "note": outcome_note(language, outcome, result.subgroups.outcomes[outcome].better),
    }


def _found(row: Divergence, result: AuditResult, language: Language) -> str:
    """Who is worse (or better) off, with both means."""
    table = result.subgroups[result.subgroups.primary_outcome]
    digits = outcome_digits(table)
    values = {
        "outcome": outcome_name(language, table.outcome),
        "group": language.group(row.subgroup),
        "mean": language.number(row.mean, digits),
        "rest": language.number(row.rest_mean, digits),
        "n": language.count(row.n),
        "all": language.count(table.n_cases),
    }
    if harmful(row.difference, table.better):
        return language.say(
            "%(outcome)s is worse where %(group)s: on average %(mean)s, against %(rest)s in all other cases "
            "(%(n)s of %(all)s cases).",
            **values,
        )
    return language.say(
        "%(outcome)s is better where %(group)s: on average %(mean)s, against %(rest)s in all other cases, which are "
        "worse off (%(n)s of %(all)s cases).",
        **values,
    )


def _not_found(result: AuditResult, language: Language) -> str:
    """The lead where no group is named."""
    subgroups, config = result.subgroups, result.about.config
    outcome = subgroups.primary_outcome
    margin = config.margin.get(outcome)
    tested = [row for row in subgroups.families[0] if row.significant is not None]
    n_tested = subgroups.outcomes[outcome].n_tested if subgroups.families[0] is subgroups[outcome] else len(tested)
    kind = result.verdict.kind
    if kind == FOUND:
        return language.say("The group that differs is not shown here, to protect the few cases in it or beside it.")
    if kind == "too few cases":
        return language.say(
            "No group has %(n)s cases and %(n)s others beside it, which is what it takes to be judged.",
            n=language.count(config.min_cases),
        )
    if kind == "open" and margin is not None:
        return language.say(
            "It could neither be shown nor be ruled out that a group is more than %(margin)s behind all others; that "
            "is the margin declared beforehand.",
            margin=language.plain(margin),
        )
    if kind == "no gap beyond the declared margin" and margin is not None:
        return language.say(
            "No group that was judged can be more than %(margin)s behind all others; that is the margin declared "
            "beforehand.",
            margin=language.plain(margin),
        )
    if kind == "no difference shown" and n_tested:
        return language.say_n(
            "%(count)s group was compared with all other cases, and it does not differ by more than chance explains.",
            "%(count)s groups were compared with all other cases, and none differs by more than chance explains.",
            n_tested,
        )
    return clean(result.verdict.sentence, length=400)


def _evidence(row: Divergence, result: AuditResult, language: Language) -> list[str]:
    """How large the difference may be, and what chance has to do with it."""
    finding = next((entry for entry in result.subgroups.findings if entry.items == row.subgroup), None)
    estimate = finding.estimate if finding is not None else row.estimate
    texts = [] if estimate is None else [_size(estimate, result, language), _chance(estimate, row, result, language)]
    if finding is not None and result.subgroups.primary_levels is not None and not finding.declared:
        texts.append(
            language.say(
                "This group was not named beforehand but found by searching: it should be confirmed in other cases."
            )
        )
    texts.append(_further(finding, result, language))
    return list(filter(None, texts))


def _size(estimate: Estimate, result: AuditResult, language: Language) -> str:
    digits = outcome_digits(result.subgroups[result.subgroups.primary_outcome])
    size = language.number(abs(estimate.value), digits)
    text = language.say("The difference is %(size)s", size=size)
    if how := _compared(estimate, result, language):
        text += f", {how}"
    if estimate.ci is None:
        return f"{text}."
    sign = math.copysign(1, estimate.value)
    low, high = sorted(sign * limit for limit in estimate.ci)
    return f"{text}; " + language.say(
        "with 95 %% certainty the true one lies between %(low)s and %(high)s, all comparisons taken together.",
        low=language.number(low, digits),
        high=language.number(high, digits),
    )


def _compared(estimate: Estimate, result: AuditResult, language: Language) -> str:
    """Within what the members are compared, where that is not plain."""
    parts = []
    if result.about.config.stratify:
        parts.append(
            language.say("compared within each %(column)s", column=language.attribute(result.about.config.stratify))
        )
    elif estimate.kind == "difference within strata":
        parts.append(language.say("compared apart from the other groups that were found"))
    if estimate.units == "subjects":
        parts.append(language.say("each patient counted once"))
    elif estimate.units == "cases within subjects":
        parts.append(language.say("compared within patients"))
    return ", ".join(parts)


def _chance(estimate: Estimate, row: Divergence, result: AuditResult, language: Language) -> str:
    """How often chance alone would show as much."""
    if estimate.p_adjusted is None:
        return language.say("Whether chance explains it was not tested.")
    families = result.subgroups.families
    declared = next((family for family in families if any(entry is row for entry in family)), families[0])
    outcome = result.subgroups.primary_outcome
    n_tested = result.subgroups.outcomes[outcome].n_tested
    if declared is not result.subgroups[outcome]:
        n_tested = sum(entry.significant is not None for entry in declared)
    often = _often(estimate.p_adjusted, language)
    return language.say_n(
        "Chance alone would show as much, were there no difference, in %(often)s such studies.",
        "Chance alone would show as much, were there no difference, for one of the %(count)s groups compared in "
        "%(often)s such studies.",
        n_tested,
        often=often,
    )


def _often(share: float, language: Language) -> str:
    """A share of studies: `about 4 of 1,000`."""
    if share < 0.001:
        return language.say("fewer than 1 of %(all)s", all=language.count(1000))
    if share < 0.0995:
        return language.say("about %(n)s of %(all)s", n=language.count(round(1000 * share)), all=language.count(1000))
    return language.say("about %(n)s of %(all)s", n=language.count(round(100 * share)), all=language.count(100))


def _further(first: Finding | None, result: AuditResult, language: Language) -> str:
    """The other groups that the verdict names."""
    others = [group for group in result.verdict.groups if first is None or group != first.items][:3]
    others = [group for group in others if first is not None and result.subgroups.find(group) is not None]
    if not others:
        return ""
    return language.say_n(
        "Apart from it a difference was found where %(groups)s.",
        "Apart from it differences were found where %(groups)s.",
        len(others),
        groups="; ".join(map(language.group, others)),
    )


def _likeliest(row: Divergence | None, result: AuditResult, language: Language) -> list[str]:
    """What was possible all the same: the smallest difference that would have been found, and who may be worse off."""
    outcome = result.subgroups.primary_outcome
    table = result.subgroups[outcome]
    texts = []
    if result.verdict.kind == "no difference shown":
        gaps = [entry.detectable_gap for entry in result.subgroups.power if entry.detectable_gap is not None]
        if gaps:
            texts.append(
                language.say(
                    "With %(n)s cases only differences above about %(gap)s would have been found; smaller ones remain "
                    "possible.",
                    n=language.count(result.subgroups.outcomes[outcome].n_cases),
                    gap=language.number(min(gaps), 2),
                )
            )
    if row is not None and row.significant is not None and (deficit := largest_deficit(row, table.better)):
        digits = outcome_digits(table)
        texts.append(
            language.say(
                "Most likely to be worse off are cases where %(group)s: on average %(mean)s, against %(rest)s in all "
                "others (%(n)s of %(all)s cases); up to %(deficit)s behind them cannot be ruled out.",
                group=language.group(row.subgroup),
                mean=language.number(row.mean, digits),
                rest=language.number(row.rest_mean, digits),
                n=language.count(row.n),
                all=language.count(table.n_cases),
                deficit=language.number(deficit, digits),
            )
        )
    return texts


def _doubts(result: AuditResult, language: Language) -> list[str]:
    """On what the answer rests that could be seen otherwise."""
    texts = []
    for cause in result.verdict.causes:
        if not cause.turns:
            continue
        values = {"title": answer_title(language, cause.kind)}
        if cause.what == PENALISED:
            texts.append(
                language.say_n(
                    "This answer rests on %(count)s unusable prediction; without it the answer is: %(title)s.",
                    "This answer rests on %(count)s unusable predictions; without them the answer is: %(title)s.",
                    cause.n_cases,
                    **values,
                )
            )
        else:
            texts.append(
                language.say_n(
                    "This answer rests on %(count)s case without a lesion; without it the answer is: %(title)s.",
                    "This answer rests on %(count)s cases without a lesion; without them the answer is: %(title)s.",
                    cause.n_cases,
                    **values,
                )
            )
    return texts


def _meaning(row: Divergence, result: AuditResult, language: Language) -> list[str]:
    """The group against all others in cases that failed and in millimetres; these two need rows of cases."""
    panel = Panel.of_result(result)
    if len(panel):
        panel = panel.select(panel.defined(result.subgroups.primary_outcome)[0])
    inside = panel.members(row.subgroup.items)
    texts = []
    if inside.any() and not inside.all():
        texts = [_failures(panel, inside, language), _boundary(panel, inside, language)]
    if row.adjusted is not None:
        texts.append(_at_equal_size(row.adjusted, result, language))
    return list(filter(None, texts))


def failed_cases(panel: Panel) -> NDArray[np.bool_] | None:
    """(n_cases,) whether each case failed: overlap below the limit, or the lesion missed; None without overlaps."""
    if "dsc" not in panel.scores:
        return None
    failed: NDArray[np.bool_] = panel.scores["dsc"] < panel.config.failure_dsc
    return failed | (panel.scores["lesion_missed"] > 0) if "lesion_missed" in panel.scores else failed


def _failures(panel: Panel, inside: NDArray[np.bool_], language: Language) -> str:
    failed = failed_cases(panel)
    if failed is None:
        return ""
    counts = {"n": inside, "failed": failed & inside, "others": ~inside, "others_failed": failed & ~inside}
    return language.say(
        "Of these %(n)s cases %(failed)s failed, of the %(others)s others %(others_failed)s (failed: overlap below "
        "%(limit)s, or the lesion missed).",
        limit=language.plain(panel.config.failure_dsc),
        **{name: language.count(int(np.count_nonzero(who))) for name, who in counts.items()},
    )


def _boundary(panel: Panel, inside: NDArray[np.bool_], language: Language) -> str:
    column = boundary_column(panel.scores)
    if column is None:
        return ""
    values = panel.scores[column]
    known = [values[who & np.isfinite(values)] for who in (inside, ~inside)]
    if not all(map(len, known)):
        return ""
    return language.say(
        "The boundary error of a typical case (the median) is %(inside)s %(unit)s, against %(outside)s %(unit)s in the "
        "others: 95 of 100 points of one outline lie no further than this from the other.",
        inside=language.number(float(np.median(known[0])), 1),
        outside=language.number(float(np.median(known[1])), 1),
        unit=length_unit(language, column),
    )


def _at_equal_size(adjusted: Adjusted, result: AuditResult, language: Language) -> str:
    """The difference among cases that are alike in some numbers; never more than a part of the story."""
    digits = outcome_digits(result.subgroups[result.subgroups.primary_outcome])
    names = [language.attribute(name) for name in adjusted.covariates]
    if adjusted.covariates == (LESION_VOLUME,):
        is_area = result.cases.scores.lesion_size == "lesion area"
        names = [language.say("lesion area") if is_area else language.say("lesion volume")]
    sign = math.copysign(1, adjusted.raw_difference)
    return language.say(
        "Among cases of equal %(names)s the difference is %(adjusted)s, over all of them %(raw)s.",
        names=language.listed(names),
        adjusted=language.number(sign * adjusted.difference, digits),
        raw=language.number(sign * adjusted.raw_difference, digits),
    )
