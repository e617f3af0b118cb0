"""What commands found, in words: facts for programs, lines for scripts, tables for a terminal.

Decides nothing but the exit code of gates.
"""

from __future__ import annotations

import dataclasses
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import typer

from segfair.cli.terminal.voice import Answer, Voice
from segfair.errors import cut_text

if TYPE_CHECKING:
    from pathlib import Path

    from segfair.audit.calibration.expected import Expectation
    from segfair.audit.judging.gates import Gate
    from segfair.audit.result import AuditResult, GateFacts, PlanFacts, PowerFacts
    from segfair.cli.options import RankOptions
    from segfair.compare.cohorts.result import CohortComparison, Series
    from segfair.compare.result import Comparison
    from segfair.files.manifest import Origin
    from segfair.handover.deliver import Delivery
    from segfair.plan.sample_size import ExpectedWidths
    from segfair.plan.study_plan import SampleSize, StudyPlan
    from segfair.rank.result import Ranking, TeamAudits
    from segfair.scoring.score_cache import ScoreCache
    from segfair.subgroups.search import Search
    from segfair.submission import Check, Problem

# Alerts that can turn a verdict round; the page has them all.
_TOLD_AT_ONCE = ("direction", "size", "labels", "copied", "column")
# So many cases that could not be used are named; the page has them all.
_REASONS = 3
_SCORES = ("DSC", "NormHD", "PS", "FS", "TS")


def finish(result: AuditResult, gates: Sequence[Gate], delivery: Delivery, voice: Voice) -> None:
    """Decides the gates, writes and tells; leaves with their exit code."""
    from segfair.audit.judging.gates import check_gates, exit_code

    verdict = dataclasses.replace(result.verdict, gates=check_gates(result, gates))
    result = dataclasses.replace(result, verdict=verdict)
    decided = result.verdict.gates
    code = exit_code(decided) if decided else 0
    write(result, delivery, voice, exit_code=code)
    if decided:
        raise typer.Exit(code)


def say_cache(cache: ScoreCache | None, what: str, voice: Voice) -> None:
    """How much of the scoring an earlier run had done."""
    if cache is not None:
        voice.note(cache.sentence(what))


def say_nothing(_: str) -> None:
    """For the processes beside the first."""


def say_search(search: Search | None, voice: Voice) -> None:
    """Which subgroups were left out, where some were."""
    from segfair.audit.words import search_sentence

    if search is not None and search.is_cut:
        voice.note(search_sentence(search))


def write(
    result: AuditResult,
    delivery: Delivery,
    voice: Voice,
    *,
    inputs: Mapping[str, Any] | None = None,
    origin: Origin | None = None,
    exit_code: int = 0,
) -> None:
    """Writes what an audit hands over, and says what it found and where that lies."""
    from segfair.handover.deliver import deliver

    result, page = deliver(result, delivery, command=command(), inputs=inputs, origin=origin)
    voice.note(*result.about.notices)
    counts = result.cases.counts
    voice.note(*_reasons("worst score", counts.penalised), *_reasons("excluded", counts.excluded))
    for alert in result.verdict.alerts:
        if alert.kind in _TOLD_AT_ONCE:
            voice.note(f"note well: {alert.text}", warning=True)
    say_search(result.subgroups.search, voice)
    if (plan := result.about.plan) is not None:
        voice.note(f"plan {plan.digest[:12]}: {plan.sentence}", warning=bool(plan.differences))
    if result.scores.tools:
        from segfair.audit.definitions import tools_sentence

        voice.note(tools_sentence(result.scores.tools))
    voice.answer(audit_answer(result, page, delivery.share), exit_code=exit_code)


def audit_answer(result: AuditResult, page: Path, share: Path | None) -> Answer:
    """Cases, scores, verdict, findings, gates and files of an audit."""
    from segfair.audit.result.record import audited_name

    counts, verdict = result.cases.counts, result.verdict
    shared = {} if share is None else {"to hand on": share}
    values = {name: score.value for name, score in result.scores.items()}
    scores = "  ".join(f"{name} {value:.4f}" for name, value in values.items() if value is not None)
    files = {"report": page, "summary": page.with_name("summary.html"), **shared}
    return Answer(
        {
            "name": audited_name(result.about.record),
            "cases": {
                "n_scored": counts.n_scored,
                "n_penalised": len(counts.penalised),
                "n_excluded": len(counts.unusable),
            },
            "scores": values,
            "verdict": {"kind": verdict.kind, "sentence": verdict.sentence},
            "findings": _finding_facts(result),
            "gates": _gate_facts(verdict.gates),
            **({} if result.about.plan is None else {"plan": _plan_facts(result.about.plan)}),
            "files": _file_facts({**files, "audit": page.with_name("audit.json")}),
        },
        (
            cases_line(result),
            *([scores] if scores else []),
            verdict.sentence,
            *gate_lines(verdict.gates),
            *(f"{name}: {path}" for name, path in files.items()),
        ),
        lambda: _tables().audit(result, cases=cases_line(result), files=files),
    )


def _reasons(what: str, reasons: Mapping[str, str]) -> Iterator[str]:
    """Why files of cases could not be used: the first few, and how many more there are.

    What is absent, a prediction or a row, was told by then.
    """
    told = [
        (case, reason) for case, reason in reasons.items() if not reason.startswith(("no prediction", "no row in "))
    ]
    for case, reason in told[:_REASONS]:
        yield f"{what}: case {cut_text(case)}: {cut_text(reason, 400)}"
    if len(told) > _REASONS:
        yield f"{what}: {len(told) - _REASONS} more, which the report names"


def cases_line(result: AuditResult) -> str:
    """What was audited, where it was named, how many cases were scored, and what became of the others."""
    from segfair.audit.result.record import audited_name
    from segfair.audit.words import plural

    counts, name = result.cases.counts, audited_name(result.about.record)
    tally = f"{len(counts.penalised)} penalised; {len(counts.unusable)} excluded"
    tally += f"; {counts.n_taught} taught the bins" if counts.n_taught else ""
    return f"{f'{name}: ' if name else ''}{plural(counts.n_scored, result.about.config.unit)} scored, {tally}"


def _finding_facts(result: AuditResult) -> list[dict[str, Any]]:
    return [
        {
            "items": dict(sorted(finding.items.items)),
            "n_cases": finding.estimate.n_cases,
            "difference": finding.estimate.value,
            "ci": finding.estimate.ci,
            "p_adjusted": finding.estimate.p_adjusted,
        }
        for finding in result.subgroups.findings
    ]


def _plan_facts(plan: PlanFacts) -> dict[str, Any]:
    differences = [dataclasses.asdict(entry) for entry in plan.differences]
    return {"sha256": plan.digest, "as_planned": not differences, "differences": differences}


def say_gates(gates: Sequence[GateFacts], voice: Voice, *, exit_code: int) -> None:
    """State, gate and reason of each, a line each."""
    voice.answer(
        Answer({"gates": _gate_facts(gates)}, gate_lines(gates), lambda: _tables().gates(gates)),
        exit_code=exit_code,
    )


def gate_lines(gates: Sequence[GateFacts]) -> tuple[str, ...]:
    """State, gate and reason of each."""
    return tuple(f"{entry.state:<9}  {entry.gate}: {entry.reason}" for entry in gates)


def _gate_facts(gates: Sequence[GateFacts]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(entry) for entry in gates]


def say_power(levels: Sequence[PowerFacts], voice: Voice, *, head: Mapping[str, float], min_cases: int) -> None:
    """A line a group: its size, the gap it could show, and how many cases the gap asked for takes.

    Args:
        levels: The groups.
        voice: Who says it.
        head: What the whole plan rests on; its "gap" is that which was asked for.
        min_cases: Fewest cases of a group that is judged.
    """
    names = [f"{entry.attribute} = {entry.level}" for entry in levels]
    width = max(map(len, names), default=5)
    lines = [f"{'group':<{width}}  {'n':>6}  detectable gap  n for a gap of {head['gap']:g}"]
    for name, entry in zip(names, levels, strict=True):
        detectable = "-" if entry.detectable_gap is None else f"{entry.detectable_gap:.3f}"
        needed = "-" if entry.n_needed is None else f"{entry.n_needed:,}"
        small = "  too few cases" if entry.n < min_cases else ""
        lines.append(f"{name:<{width}}  {entry.n:>6}  {detectable:>14}  {needed:>10}{small}")
    voice.answer(Answer({**head, "groups": [dataclasses.asdict(entry) for entry in levels]}, tuple(lines)))


def say_expectation(found: Expectation, voice: Voice) -> None:
    """A line a group, marked as the estimate that it is."""
    from segfair.audit.calibration.expected import WARNING

    named = [("all cases", found.overall), *((group.items.name, group) for group in found.groups)]
    width = max(len(name) for name, _ in named)
    lines = [WARNING, f"{'group':<{width}}  {'n':>6}  estimated DSC"]
    lines += [f"{name:<{width}}  {group.n:>6,}  {group.expected_dsc:>13.3f}" for name, group in named]
    if found.left_out:
        case, reason = next(iter(found.left_out.items()))
        voice.note(f"left out: {len(found.left_out)} cases, such as {case} ({reason})")
    facts = {
        "estimate": True,
        "warning": WARNING,
        "threshold": found.threshold,
        "overall": found.overall.expected_dsc,
        "groups": [
            {"items": dict(sorted(group.items.items)), "n": group.n, "expected_dsc": group.expected_dsc}
            for group in found.groups
        ],
        "cases": dict(found.cases),
        "left_out": dict(found.left_out),
    }
    voice.answer(Answer(facts, tuple(lines)))


def say_plan(plan: StudyPlan, widths: ExpectedWidths | None, voice: Voice) -> None:
    """What is planned, how well it will know each primary level, and the hash that fixes it."""
    size = plan.sample_size
    facts: dict[str, Any] = {"sha256": plan.digest, "plan": dict(plan.tree)}
    lines = [*_plan_lines(plan.tree)]
    if widths is not None and size is not None:
        facts["expected"] = dataclasses.asdict(widths) | {"cases_needed": widths.cases_needed}
        lines += _width_lines(widths, size)
    lines.append(f"sha256 {plan.digest}")
    voice.answer(Answer(facts, tuple(lines)))


def _plan_lines(tree: Mapping[str, Any], prefix: str = "") -> list[str]:
    """A line a setting; what is not planned is the default."""
    lines: list[str] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            lines += _plan_lines(value, f"{prefix}{key}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            lines.append(f"{prefix}{key}: {text}")
    return lines


def _width_lines(widths: ExpectedWidths, size: SampleSize) -> list[str]:
    if widths.critical is None:
        return ["too few cases: no level of a primary attribute has enough members and others to be tested"]
    names = [f"{entry.attribute} = {entry.level}" for entry in widths.levels]
    broad = max(map(len, names), default=5)
    lines = [f"{'group':<{broad}}  {'share':>6}  {'n':>6}  interval  margin met  cases needed"]
    for name, entry in zip(names, widths.levels, strict=True):
        count = "-" if entry.n is None else f"{entry.n:,}"
        width = "-" if entry.width is None else f"{entry.width:.3f}"
        met = "-" if entry.margin_met is None else f"{entry.margin_met:.0%}"
        needed = "-" if entry.cases_needed is None else f"{entry.cases_needed:,}"
        lines.append(f"{name:<{broad}}  {entry.share:>6.1%}  {count:>6}  {width:>8}  {met:>10}  {needed:>12}")
    lines.append("interval: width of that of the difference to everybody else, all primary levels together")
    if any(entry.margin_met is not None for entry in widths.levels):
        lines.append("margin met: how often, where there is no difference")
    if size.width is not None and widths.cases_needed is not None:
        lines.append(f"cases for a width of {size.width:g} in every group: {widths.cases_needed:,}")
    return lines


def say_check(check: Check, voice: Voice) -> None:
    """What has to be mended in a submission, a line each, and what may be meant."""
    counts = f"{check.n_usable} of {check.n_expected} cases are as expected"
    told = [
        f"{'mend' if place == 0 else 'note'}  {_problem_line(entry)}"
        for place, entries in enumerate((check.problems, check.warnings))
        for entry in entries
    ]
    facts = {
        "passed": check.passed,
        "n_expected": check.n_expected,
        "n_usable": check.n_usable,
        "problems": [dataclasses.asdict(entry) for entry in check.problems],
        "warnings": [dataclasses.asdict(entry) for entry in check.warnings],
    }
    verdict = "the submission is as expected" if check.passed else "the submission has to be mended"
    voice.answer(Answer(facts, (*told, f"{counts}; {verdict}")), exit_code=0 if check.passed else 1)


def _problem_line(problem: Problem) -> str:
    return f"{problem.case}: {problem.what}" if problem.case else problem.what


def say_comparison(comparison: Comparison, page: Path, voice: Voice) -> None:
    """How each score moved, and the verdict."""
    voice.note(*comparison.notices)
    moved = [
        f"{name} {change.before:.4f} -> {change.after:.4f} ({change.after - change.before:+.4f})"
        for name, change in comparison.scores.items()
        if change.before is not None and change.after is not None
    ]
    verdict = comparison.verdict
    facts = {
        "verdict": dataclasses.asdict(verdict),
        "outcome": comparison.outcome,
        "n_paired": comparison.n_paired,
        "scores": {
            name: {"before": change.before, "after": change.after, "ci": change.ci}
            for name, change in {**comparison.metrics, **comparison.scores}.items()
        },
        "harmed": [dict(change.items) for change in comparison.harmed],
        "gained": [dict(change.items) for change in comparison.gained],
        "files": _file_facts({"comparison": page, "json": page.with_suffix(".json")}),
    }
    voice.answer(
        Answer(
            facts,
            (*moved, verdict.sentence, f"comparison: {page}"),
            lambda: _tables().comparison(comparison, files={"comparison": page}),
        )
    )


def say_cohorts(found: CohortComparison, page: Path, voice: Voice) -> None:
    """How the cohorts differ, with and without one mix of patients."""
    voice.note(*found.notices)
    verdict = found.verdict
    mix = [entry.attribute for entry in found.mix if entry.p_adjusted <= found.level]
    facts = {
        "verdict": dataclasses.asdict(verdict),
        "outcome": found.outcome,
        "crude": dataclasses.asdict(found.crude),
        "standardised": None if found.standardised is None else dataclasses.asdict(found.standardised.difference),
        "worse": [dict(entry.items) for entry in found.changed(worse=True)],
        "better": [dict(entry.items) for entry in found.changed(worse=False)],
        "mix": mix,
        "files": _file_facts({"cohorts": page, "json": page.with_suffix(".json")}),
    }
    lines = (
        f"{verdict.kind}. {verdict.sentence}",
        f"the mix of patients differs by: {', '.join(mix) or 'no attribute'}",
        f"cohorts: {page}",
    )
    voice.answer(Answer(facts, lines))


def say_series(found: Series, page: Path, voice: Voice) -> None:
    """Who drifted, and since when."""
    voice.note(*found.notices)
    drifting = [
        {
            "items": dict(entry.items),
            "first": found.audits[entry.first].name if entry.first is not None else None,
            "to_worse": entry.to_worse,
        }
        for entry in found.drifting
    ]
    facts = {
        "outcome": found.outcome,
        "audits": [side.name for side in found.audits],
        "sentence": found.sentence,
        "drifting": drifting,
        "files": _file_facts({"monitor": page, "json": page.with_suffix(".json")}),
    }
    voice.answer(Answer(facts, (found.sentence, f"monitor: {page}")))


def say_runs(comparisons: Sequence[Comparison], page: Path, voice: Voice) -> None:
    """How several audits differ from the first: a line each."""
    voice.note(*dict.fromkeys(notice for entry in comparisons for notice in entry.notices))
    facts = {
        "baseline": comparisons[0].before.name,
        "outcome": comparisons[0].outcome,
        "runs": [
            {
                "name": entry.after.name,
                "verdict": dataclasses.asdict(entry.verdict),
                "n_harmed": len(entry.harmed),
                "n_gained": len(entry.gained),
            }
            for entry in comparisons
        ],
        "files": _file_facts({"runs": page, "json": page.with_suffix(".json")}),
    }
    lines = [f"{entry.after.name}: {entry.verdict.kind}. {entry.verdict.sentence}" for entry in comparisons]
    voice.answer(
        Answer(facts, (*lines, f"runs: {page}"), lambda: _tables().runs(comparisons, files={"runs": page})),
    )


def write_ranking(ranking: Ranking, options: RankOptions, voice: Voice) -> None:
    """Writes a ranking, and says who is first and where it lies.

    With private labels no case, attribute or level is named: what stands on a terminal gets passed on.
    """
    from segfair.rank.result import TeamAudits
    from segfair.report.ranking.files import write_ranking

    private = options.private_labels
    audits = _audits(ranking, voice) if options.audits else TeamAudits()
    page = write_ranking(
        ranking,
        options.out,
        private_labels=private,
        export=options.export,
        command=command(),
        title=options.title,
        audits=audits,
    )
    _note_ranking(ranking, voice, private=private)
    voice.note(*(f"no audit of {team}" + ("" if private else f": {why}") for team, why in audits.failed.items()))
    verdict = ranking.verdict
    sentence = verdict.private_sentence if private else verdict.sentence
    files = {"leaderboard": page, **({"audits": options.out / "teams"} if audits.results else {})}
    steps = _next_steps(ranking, options)
    facts = {
        "verdict": {"winner": verdict.winner, "sentence": sentence},
        "by": ranking.by,
        "teams": [
            {
                "team": entry.team,
                "rank": entry.rank,
                "rank_interval": entry.rank_interval,
                "first": entry.first,
                "scores": {ranking.by: entry.value, **{name: score.value for name, score in entry.scores.items()}},
                "n_penalised": entry.n_penalised,
            }
            for entry in ranking.standings
        ],
        "baseline": ranking.baseline.value,
        "files": _file_facts(files),
    }
    voice.answer(
        Answer(
            facts,
            # Scripts read the last lines.
            (*steps, sentence, *(f"{name}: {path}" for name, path in files.items())),
            lambda: _tables().ranking(ranking, sentence=sentence, files=files, steps=steps),
        )
    )


def _audits(ranking: Ranking, voice: Voice) -> TeamAudits:
    from segfair.cli.terminal.progress import progress
    from segfair.rank.audits import audit_teams

    with progress(len(ranking.standings), voice, what="auditing", then="writing") as on_done:
        return audit_teams(ranking, on_done=on_done)


def _note_ranking(ranking: Ranking, voice: Voice, *, private: bool) -> None:
    """Notices and alerts; with private labels those alone that name no case and no group."""
    from segfair.report.ranking.leaderboard import public_alerts

    excluded = ranking.scores.excluded
    if private:
        if excluded:
            voice.note(f"left out for every team: {len(excluded)} of the cases; rank.json names them")
        voice.note(*(alert.text for alert in public_alerts(ranking)), warning=True)
        return
    voice.note(*ranking.notices)
    voice.note(*_reasons("left out for every team", excluded))
    voice.note(*(alert.text for alert in ranking.alerts), warning=True)
    for team, table in ranking.scores.tables.items():
        voice.note(*_reasons(f"worst score of {team}", table.penalised))


def _next_steps(ranking: Ranking, options: RankOptions) -> tuple[str, ...]:
    """What to type next: an audit of each team, and two teams compared."""
    from segfair.audit.words import clean

    steps = () if options.audits else ("an audit of each team: the same command with --audits",)
    first_two = [entry.team for entry in ranking.standings[:2]]
    if len(first_two) < 2:
        return steps
    sides = " ".join(shlex.quote(f"{options.out}:{team}") for team in first_two)
    return (*steps, clean(f"two teams compared: segfair compare {sides}", length=1000))


def say_models(models: Mapping[str, Any], page: Path, voice: Voice) -> None:
    """A line a trained model: its scores on the test cases, or of all cases out of fold, and its worst subgroup."""
    tested = {name: scores.get("pooled") or scores["test"] for name, scores in models.items()}
    facts = {"models": tested, "files": _file_facts({"comparison": page, "json": page.with_suffix(".json")})}
    voice.answer(
        Answer(
            facts,
            (*map(_model_line, tested, tested.values()), f"comparison: {page}"),
            lambda: _tables().models(tested, files={"comparison": page}),
        )
    )


def _model_line(name: str, test: Mapping[str, Any]) -> str:
    worst = test["worst_subgroup"]
    line = "  ".join(f"{key} {test[key]:.3f}" for key in _SCORES if test[key] is not None)
    return f"{name:<22} {line}  worst subgroup {worst['dsc']:.3f} (n = {worst['n']})" if worst else f"{name}: {line}"


def _file_facts(files: Mapping[str, Path]) -> dict[str, str]:
    return {name.replace(" ", "_"): str(path) for name, path in files.items()}


def _tables() -> ModuleType:
    """The module that draws: imported only where there is a terminal, as rich is."""
    from segfair.cli.terminal import tables

    return tables


def command() -> str:
    """The command line as it was typed, which reports keep."""
    return shlex.join(["segfair", *sys.argv[1:]])
