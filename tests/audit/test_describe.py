"""Facts about the columns of a cohort."""

from __future__ import annotations

from segfair.attributes.fit import fit_attributes
from segfair.audit.describe import column_facts
from segfair.cases import Case, Cohort
from segfair.protocol.rules import load_protocol


def test_texts_among_ranges_of_numbers_are_counted_as_missing() -> None:
    ages: list[object] = [*range(30, 60), "unknown", "unknown", None]
    cohort = Cohort(
        tuple(Case(f"C{index:02d}", metadata={"age": age}) for index, age in enumerate(ages)),
        columns=("age",),
        missing={"age": {"C32": "NA"}},
    )
    attributes = fit_attributes(cohort, protocol=load_protocol("default")).apply(cohort)
    facts = column_facts(cohort, attributes)["age"]
    assert (facts.n_missing, facts.spellings) == (3, {"unknown": 2, "NA": 1})
