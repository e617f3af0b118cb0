"""What a terminal shows of each result: the verdict, tables that fit into 80 columns, the files. Computes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from segfair.audit.result import AuditResult, Finding, GateFacts, Score
from segfair.audit.words import clean, column_digits, format_interval, format_number, format_p, metric_name
from segfair.audit.words import subgroup_name as group_name
from segfair.cli.terminal import screen
from segfair.cli.terminal.screen import Shown
from segfair.compare.result import Change, Comparison, SubgroupChange
from segfair.rank.result import Ranking, Standing, percent

__all__ = ["audit", "comparison", "gates", "models", "ranking", "runs"]

_GROUPS = 5
"""Findings, or groups that changed, that are listed; the page has them all."""
_TEAMS = 20


def audit(result: AuditResult, *, cases: str, files: Mapping[str, Path]) -> Shown:
    """The verdict of an audit, its findings, scores, gates and files."""
    yield screen.verdict(result.verdict.kind, result.verdict.sentence)
    findings = result.subgroups.findings
    if findings:
        outcome = metric_name(result.subgroups.primary_outcome)
        yield _finding_table(findings[:_GROUPS], result, title=f"Findings ({outcome})")
    if len(findings) > _GROUPS:
        yield Text(f"  and {len(findings) - _GROUPS} more in the report")
    yield _score_line(result.scores)
    if result.verdict.gates:
        yield from gates(result.verdict.gates)
    yield Text(cases)
    yield screen.files(files)


def _finding_table(findings: Sequence[Finding], result: AuditResult, *, title: str) -> Table:
    table = screen.table(title, "Subgroup", "n", "Mean", "Difference", "95 % interval", "p")
    digits = column_digits(max(abs(finding.estimate.value) for finding in findings))
    for finding in findings:
        row, estimate = result.subgroups.find(finding.items), finding.estimate
        table.add_row(
            Text(group_name(finding.items.items, length=40)),
            str(estimate.n_cases),
            format_number(row.mean if row else None, digits),
            format_number(estimate.value, digits, signed=True),
            format_interval(estimate.ci, digits, signed=True),
            format_p(estimate.p_adjusted),
        )
    return table


def _score_line(scores: Mapping[str, Score]) -> Text:
    line = Text()
    for name, score in scores.items():
        if score.value is None:
            continue
        line.append(f"{name} ", style="bold").append(f"{score.value:.4f}")
        if score.chance is not None:  # 0.9 is not 90 % fair: beside it stands what attributes of no meaning would get
            line.append(f" (chance {score.chance.mean:.3f})", style="dim")
        line.append("  ")
    return line


def gates(decided: Sequence[GateFacts]) -> Shown:
    """State, gate and reason of each."""
    table = screen.table("Gates", "State", "Gate", "Reason", flexible=range(3))
    for entry in decided:
        table.add_row(screen.state(entry.state), Text(entry.gate), Text(entry.reason))
    yield table


def comparison(found: Comparison, *, files: Mapping[str, Path]) -> Shown:
    """The verdict of a comparison, how scores moved, who was harmed and who gained."""
    yield screen.verdict(found.verdict.kind, found.verdict.sentence)
    changes = {metric_name(found.outcome): found.metrics[found.outcome], **found.scores}
    table = screen.table("Scores", "Score", "Before", "After", "Change", "95 % interval")
    for name, change in changes.items():
        table.add_row(Text(name), *_change_cells(change))
    yield table
    for title, groups in (("Harmed", found.harmed), ("Gained", found.gained)):
        if groups:
            yield _changed_groups(f"{title} ({metric_name(found.outcome)})", groups)
    yield screen.files(files)


def runs(found: Sequence[Comparison], *, files: Mapping[str, Path]) -> Shown:
    """Each run against the first one: how the mean and the scores moved, how many were harmed and gained."""
    first = found[0]
    names = [first.outcome, *first.scores]
    headings = ("Run", *map(metric_name, names), "Harmed", "Gained", "Verdict")
    table = screen.table(f"Runs against {first.before.name}", *headings, flexible=(0, len(headings) - 1))
    shown = {first.outcome: first.metrics[first.outcome], **first.scores}
    table.add_row(Text(first.before.name), *(format_number(change.before) for change in shown.values()))
    for entry in found:
        changes = {entry.outcome: entry.metrics[entry.outcome], **entry.scores}
        numbers = [format_number(changes[name].after) if name in changes else "–" for name in names]
        counts = (str(len(entry.harmed)), str(len(entry.gained)))
        table.add_row(Text(entry.after.name), *numbers, *counts, Text(entry.verdict.kind))
    yield table
    yield screen.files(files)


def _change_cells(change: Change) -> tuple[str, ...]:
    numbers = (format_number(change.before, 4), format_number(change.after, 4))
    return (*numbers, format_number(change.difference, 4, signed=True), format_interval(change.ci, 3, signed=True))


def _changed_groups(title: str, groups: Sequence[SubgroupChange]) -> Table:
    more = len(groups) - _GROUPS
    table = screen.table(title, "Subgroup", "n", "Before", "After", "Change")
    for group in groups[:_GROUPS]:
        values = (format_number(group.before), format_number(group.after), format_number(group.difference, signed=True))
        table.add_row(Text(group_name(group.pairs, length=40)), str(group.n), *values)
    if more > 0:
        table.add_row(Text(f"and {more} more on the page", style="dim"))
    return table


def ranking(found: Ranking, *, sentence: str, files: Mapping[str, Path], steps: Sequence[str]) -> Shown:
    """Whether there is a winner, and the board: teams with their scores and how sure their ranks are; what next."""
    from segfair.report.ranking.tables import BASELINE_NAME, baseline_values, number, rank_range, shown_scores

    yield screen.verdict("winner" if found.verdict.winner else "no winner", sentence)
    names = [name for name in shown_scores(found) if name != "NormHD" or found.by == name]
    title = f"Ranked by {metric_name(found.by)}"
    table = screen.table(title, "Rank", "Team", *map(metric_name, names), "Ranks 95 %", "First", flexible=[1])

    def row(entry: Standing) -> list[str | Text]:
        scores = [entry.value if name == found.by else _value(entry.scores.get(name)) for name in names]
        cells = (number(score, name) for score, name in zip(scores, names, strict=True))
        return [
            str(entry.rank),
            Text(clean(entry.team, length=40)),
            *cells,
            rank_range(entry.rank_interval),
            percent(entry.first),
        ]

    rows = list(map(row, found.standings))
    nothing = baseline_values(found)
    cells = (number(nothing.get(name.lower()), name) for name in names)
    rows.insert(found.baseline.n_better, ["–", Text(BASELINE_NAME, style="dim"), *cells, "–", "–"])
    for cells_of_row in rows[:_TEAMS]:
        table.add_row(*cells_of_row)
    yield table
    if len(rows) > _TEAMS:
        yield Text(f"  and {len(rows) - _TEAMS} more on the leaderboard")
    yield screen.files(files)
    yield from (Text(step, style="dim") for step in steps)


def _value(score: Score | None) -> float | None:
    return None if score is None else score.value


def models(tested: Mapping[str, Mapping[str, Any]], *, files: Mapping[str, Path]) -> Shown:
    """Each trained model with its scores and its worst subgroup."""
    headings = ("Model", "DSC", "PS", "FS", "TS", "Worst", "n", "Who")
    table = screen.table("Models on cases that they have not seen", *headings, flexible=(0, 7))
    for name, scores in tested.items():
        worst = scores["worst_subgroup"]
        cells = [format_number(scores[key]) for key in ("DSC", "PS", "FS", "TS")]
        who: list[RenderableType] = (
            []
            if not worst
            else [format_number(worst["dsc"]), str(worst["n"]), Text(group_name(worst["items"].items()))]
        )
        table.add_row(Text(name), *cells, *who)
    yield table
    yield screen.files(files)
