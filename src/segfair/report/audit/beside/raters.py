"""Several raters: how far they agree in each group, beside the model's gap under each of them."""

from __future__ import annotations

from segfair.audit.result import AuditResult
from segfair.audit.result.second_labels import RaterGap, RaterGroup, Raters
from segfair.audit.words import clean, format_interval, format_number, format_p, metric_digits, metric_name, plural
from segfair.report.parts import Data, cell, number_column, table

__all__ = ["rater_section"]

_SHOWN = 40
"""Groups that are printed; audit.json has them all."""
_CALLED = {"majority": "majority", "staple": "STAPLE"}


def rater_section(result: AuditResult) -> Data | None:
    """Who agrees with whom, and both kinds of gaps; None with fewer raters."""
    facts = result.subgroups.raters
    if facts is None:
        return None
    name = metric_name(facts.outcome)
    rest = len(facts.groups) - _SHOWN
    return {
        "sentence": clean(facts.sentence, length=900),
        "about": _about(facts),
        "pairs": _pairs(facts),
        "table": table(
            f"DSC between raters, and gaps in {name} under each",
            [
                "Group",
                number_column("n"),
                number_column("DSC between raters"),
                number_column("Gap of the raters"),
                number_column("Adjusted p"),
                *(number_column(f"Gap of the model, {_called(ruler.name)}") for ruler in facts.rulers),
            ],
            [_row(group, facts) for group in facts.groups[:_SHOWN]],
            note=f"and {rest:,} more, in audit.json" if rest > 0 else "",
        ),
    }


def _called(ruler: str) -> str:
    return _CALLED.get(ruler) or clean(ruler, length=40)


def _about(facts: Raters) -> list[str]:
    """What was measured with, how far raters agree, and of which cases there are fewer labels."""
    rulers = ", ".join(
        f"{format_number(ruler.mean)} under {_called(ruler.name)} ({plural(ruler.n, 'case')})" for ruler in facts.rulers
    )
    about = [f"Mean {metric_name(facts.outcome)} of the model: {rulers}. The first is what this audit measured with."]
    if facts.agreement is not None and facts.agreement_ci is not None:
        about.append(
            f"Mean DSC between raters, over the pairs of a case and then over cases: {format_number(facts.agreement)} "
            f"({format_interval(facts.agreement_ci)})."
        )
    fewer = sum(case.n_raters < len(facts.names) for case in facts.cases)
    tied = [case.tied for case in facts.cases if case.tied]
    if fewer:
        about.append(f"{plural(fewer, 'case')} labelled by fewer than {len(facts.names)} raters; what there is counts.")
    if tied:
        about.append(
            f"The majority leaves to the background what raters are tied about: {plural(sum(tied), 'voxel')} in "
            f"{plural(len(tied), 'case')}."
        )
    if facts.left_out:
        n_labels = sum(map(len, facts.left_out.values()))
        about.append(f"{plural(n_labels, 'label')} left out, for it cannot be used; audit.json says why.")
    return about


def _pairs(facts: Raters) -> Data:
    return table(
        "Raters against each other",
        ["Rater", "Against", number_column("n"), number_column("Mean DSC")],
        [
            [cell(_called(pair.first)), cell(_called(pair.second)), f"{pair.n:,}", cell(format_number(pair.dsc))]
            for pair in facts.pairs
        ],
    )


def _row(group: RaterGroup, facts: Raters) -> list[Data | str]:
    agreed = group.agreement
    means = [gap.mean for gap in group.model.values()]
    digits = metric_digits(means) if means else 3
    sizes = [gap.n for gap in (*([agreed] if agreed else []), *group.model.values())]
    return [
        cell(items=sorted(group.items.items)),
        f"{max(sizes, default=0):,}",
        cell(format_number(agreed.mean) if agreed else "–"),
        _gap(agreed, 3),
        cell(format_p(agreed.p_adjusted)) if agreed and agreed.p_adjusted is not None else _untested(),
        *(_gap(group.model.get(ruler.name), digits) for ruler in facts.rulers),
    ]


def _untested() -> Data:
    return cell("–", sub="too few cases")


def _gap(gap: RaterGap | None, digits: int) -> Data:
    """A gap with its interval, and its adjusted p where it was tested."""
    if gap is None:
        return cell("–")
    told = [format_interval(gap.ci, digits)] if gap.ci else []
    if gap.significant:
        told.append("beyond chance")
    return cell(format_number(gap.gap, digits, signed=True), sub="; ".join(told))
