"""What may be handed on: a reader who solves everything that is told cannot solve a group of few cases."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp
from tests.audit.made_up_audits import DEFAULT, audit, changed, planted

from segfair.audit.judging.verdict import headline
from segfair.audit.result import AuditResult
from segfair.audit.result.subgroups import BoundaryError, CaseParts, GapParts, Part, Reasons
from segfair.errors import ConfigError
from segfair.handover.disclosure import SMALLEST, CellTotals, share
from segfair.report.audit.summary import headline_facts, worst_section
from segfair.report.files import write_report
from segfair.subgroups.lattice import Subgroup


class Reader:
    """Whoever has only the shared facts: an integer programme over all conceivable joint cells."""

    def __init__(self, shared: AuditResult) -> None:
        levels = {name: (*bins.levels, None) for name, bins in shared.attributes.bins.items()}
        self.names = list(levels)
        self.cells = list(itertools.product(*levels.values()))
        self.rows, self.totals = [np.ones(len(self.cells))], [shared.cases.counts.n_scored]
        n_cases, mean = shared.cases.counts.n_scored, shared.subgroups.outcomes["dsc"].mean
        for entry in shared.attributes.facts:
            for level in entry.levels:
                self.learn({(entry.name, level.level)}, level.n)
        for entry in shared.subgroups.power:
            self.learn({(entry.attribute, entry.level)}, entry.n)
        for row in (*shared.subgroups["dsc"], *(shared.subgroups.primary_levels or ())):
            items = row.subgroup.items
            self.learn(items, row.n)
            self.learn(items, round(row.support * n_cases))
            assert row.divergence == pytest.approx(row.mean - mean), "nothing but the mean"
            if row.rest_mean is not None and abs(row.mean - row.rest_mean) > 1e-9:
                # Means tell a count as well: N * overall = n * mean + (N - n) * rest.
                n = n_cases * (mean - row.rest_mean) / (row.mean - row.rest_mean)
                self.learn(items, round(n))
            for alias in row.aliases:
                self.learn(alias.items, row.n)

    def indicator(self, items) -> np.ndarray:
        wanted = dict(items)
        return np.array(
            [all(cell[self.names.index(name)] == level for name, level in wanted.items()) for cell in self.cells],
            dtype=float,
        )

    def learn(self, items, n: int) -> None:
        self.rows.append(self.indicator(items))
        self.totals.append(n)

    def bounds(self, items) -> tuple[int, int]:
        """Fewest and most cases that agree with all that is told."""
        system = LinearConstraint(np.array(self.rows), self.totals, self.totals)
        ends = []
        for sign in (1, -1):
            found = milp(
                sign * self.indicator(items),
                constraints=system,
                integrality=np.ones(len(self.cells)),
                bounds=Bounds(0, np.inf),
            )
            assert found.success, found.message
            ends.append(round(sign * found.fun))
        return ends[0], ends[1]

    def solves(self, items) -> bool:
        """Whether subtraction alone gives the count: its indicator is in the span of the told ones."""
        told = np.array(self.rows).T
        return np.linalg.matrix_rank(told) == np.linalg.matrix_rank(np.column_stack([told, self.indicator(items)]))


def small_groups(result: AuditResult, max_items: int):
    """Every combination of 1 to 4 cases, counted from the rows."""
    rows = result.cases.scores
    columns = {name: rows.column(name) for name in rows.attributes}
    for size in range(1, max_items + 1):
        for names in itertools.combinations(rows.attributes, size):
            seen: dict[tuple, int] = {}
            for values in zip(*(columns[name] for name in names), strict=True):
                seen[values] = seen.get(values, 0) + 1
            for values, n in seen.items():
                if n < SMALLEST:
                    yield frozenset(zip(names, values, strict=True)), n


def planted_three(seed: int = 0, n_cases: int = 90) -> AuditResult:
    """Three cases at site C, and a cell of three men at site B; everything else is large."""
    rng = np.random.default_rng(seed)
    site = np.array(["A"] * 47 + ["B"] * 40 + ["C"] * 3)
    sex = np.array((["f"] * 24 + ["m"] * 23) + (["f"] * 37 + ["m"] * 3) + ["f", "f", "m"])
    dsc = np.clip(rng.normal(0.8, 0.1, n_cases), 0, 1)
    config = dataclasses.replace(DEFAULT, min_support=0.02, primary=("site",))
    return audit(config, dsc=dsc, site=site.tolist(), sex=sex.tolist())


def test_a_planted_cell_of_three_cannot_be_solved() -> None:
    full = planted_three()
    men_at_b = {("site", "B"), ("sex", "m")}
    before = Reader(changed(full, scores={"variants": ()}))
    for cell in ({("site", "C")}, men_at_b):
        assert before.bounds(cell) == (3, 3), "the full report tells it, so the reader can read"
    reader = Reader(share(full))
    for cell in ({("site", "C")}, men_at_b):
        low, high = reader.bounds(cell)
        assert low < 3 < high, (cell, low, high)
        assert high >= SMALLEST, "it is not even known to be small"


@pytest.mark.parametrize("seed", range(6))
def test_no_small_group_of_a_random_cohort_can_be_solved(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_cases = 120
    made = {
        "age": rng.choice(["young", "middle", "old", "very old"], n_cases, p=[0.3, 0.4, 0.27, 0.03]).tolist(),
        "sex": rng.choice(["f", "m"], n_cases, p=[0.8, 0.2]).tolist(),
        "site": rng.choice(["A", "B", "C"], n_cases, p=[0.6, 0.35, 0.05]).tolist(),
    }
    full = audit(dataclasses.replace(DEFAULT, min_support=0.02), dsc=rng.beta(5, 2, n_cases), **made)
    shared = share(full)
    reader = Reader(shared)
    checked = 0
    for items, n in small_groups(full, 3):
        checked += 1
        assert not reader.solves(items), (sorted(items), n)
        low, high = reader.bounds(items)
        assert low < high, (sorted(items), n, low, high)
    assert checked > 5
    assert len(shared.subgroups["dsc"]) > 0, "something is still told"
    assert all(row.n >= SMALLEST for row in shared.subgroups["dsc"])


def test_the_smallest_level_beside_a_small_one_is_hidden_too() -> None:
    shared = share(planted_three())
    (site,) = [entry for entry in shared.attributes.facts if entry.name == "site"]
    assert [level.level for level in site.levels] == ["A"]
    assert any("levels and" in alert.text for alert in shared.verdict.alerts if alert.kind == "not shown")


def test_means_of_hidden_levels_are_in_no_score() -> None:
    from segfair.protocol.rules import load_protocol

    full = planted_three()
    rng = np.random.default_rng(3)
    config = dataclasses.replace(
        DEFAULT,
        protocol=load_protocol("default").replace(
            fairness=dataclasses.replace(load_protocol("default").fairness, levels="all")
        ),
    )
    dsc = rng.beta(6, 2, 90)
    dsc[-3:] = 0.1  # site C sets D_v
    rows = full.cases.scores
    full = audit(config, dsc=dsc, site=rows.column("site"), sex=rows.column("sex"))
    assert full.scores["FS"].value is not None
    shared = share(full)
    assert shared.scores["FS"].value is None
    assert shared.scores["TS"].value is None
    assert shared.scores["DSC"] == full.scores["DSC"]
    assert {entry.attribute for entry in shared.scores.variants} == {"sex"}
    assert next(entry for entry in shared.attributes.facts if entry.name == "site").disparity is None
    assert shared.scores.definitions == ()


def test_a_large_cohort_keeps_its_groups() -> None:
    rng = np.random.default_rng(1)
    made = {"sex": rng.choice(["f", "m"], 600).tolist(), "site": rng.choice(["A", "B", "C"], 600).tolist()}
    full = audit(dsc=rng.beta(5, 2, 600), **made)
    shared = share(full)
    assert [row.n for row in shared.subgroups["dsc"]] == [row.n for row in full.subgroups["dsc"]]
    assert shared.scores["FS"].value == full.scores["FS"].value
    assert shared.verdict == full.verdict


def test_a_hidden_group_is_not_named_by_the_verdict() -> None:
    rng = np.random.default_rng(2)
    site = ["A"] * 83 + ["B"] * 12 + ["C"] * 3
    dsc = np.clip(rng.normal(0.85, 0.03, 98), 0, 1)
    dsc[83:95] = 0.2
    full = audit(dsc=dsc, site=site)
    assert "site = B" in full.verdict.sentence
    shared = share(full)
    assert shared.verdict.kind == full.verdict.kind
    assert "site" not in shared.verdict.sentence
    assert headline(full) == full.subgroups.find(full.verdict.groups[0])
    assert headline(shared) is None, "nobody takes its place"
    assert "Worst off" not in {fact["name"] for fact in headline_facts(shared)}
    assert worst_section(shared) is None


@pytest.mark.parametrize("name", ["B" * 80, "B\u202eB", "B  B", "B\tward", "B (north)"])
def test_a_hidden_group_is_not_named_by_the_verdict_however_it_is_spelled(name: str) -> None:
    rng = np.random.default_rng(2)
    dsc = np.clip(rng.normal(0.85, 0.03, 98), 0, 1)
    dsc[83:95] = 0.2
    full = audit(dsc=dsc, site=["A"] * 83 + [name] * 12 + ["C"] * 3)
    assert "site = B" in full.verdict.sentence, "the full report names it"
    assert "n = 12" in full.verdict.sentence
    sentence = share(full).verdict.sentence
    assert "not shown" in sentence
    assert "site" not in sentence and "12" not in sentence


def test_a_told_group_with_a_long_name_is_still_named() -> None:
    rng = np.random.default_rng(2)
    dsc = np.clip(rng.normal(0.85, 0.03, 120), 0, 1)
    dsc[80:] = 0.2
    full = audit(dsc=dsc, site=["A"] * 80 + ["B" * 80] * 40)
    assert share(full).verdict == full.verdict


def test_rows_ids_paths_and_names_are_gone(tmp_path: Path) -> None:
    about = {
        "inputs": {"labels": "/home/mallory/study/labels"},
        "notices": ("labels: 90 masks in /home/mallory/study/labels",),
        "record": {
            "model": "net",
            "approver": "M. Mallory",
            "cohort": "c0007 and others",
            "own": "x",
            "vendor": "V",
            "role": "Head",
            "recommendation": "not for site C",
        },
    }
    full = changed(planted_three(), about=about)
    text = json.dumps(share(full).to_dict())
    for secret in ("mallory", "Mallory", "/home", *full.cases.scores.column("case")):
        assert secret not in text
    shared = share(full)
    assert shared.about.record == {"model": "net", "vendor": "V"}
    assert shared.cases.scores.rows == ()
    assert all(level.failure_rate is None for entry in shared.attributes.facts for level in entry.levels)
    shared.save(tmp_path / "audit.json")
    assert AuditResult.load(tmp_path / "audit.json") == shared


def test_counts_of_cases_without_a_value_cannot_be_solved_either() -> None:
    """Two outcomes with different cases: subtracting their counts tells how many of a group have no value."""
    codes = np.array([[0, 1]] * 20 + [[0, 0]] * 3 + [[1, 1]] * 30 + [[1, 0]] * 9)
    totals = CellTotals.of(codes, n_attributes=1, max_items=2)
    assert totals.tell(np.ones(len(totals.counts), dtype=bool), whole=True)
    assert totals.tell(totals.codes[:, 1] == 1, whole=True)
    assert totals.tell(totals.codes[:, 0] == 0), "23 of group 0"
    assert not totals.tell((totals.codes[:, 0] == 0) & (totals.codes[:, 1] == 1)), "20 of them with a value"


def test_many_cases_of_two_subjects_are_a_small_group() -> None:
    codes = np.repeat([[0], [1], [2]], (40, 20, 20), axis=0)
    subjects = np.array([*range(60), *[60, 61] * 10])
    level = [np.arange(3) == code for code in range(3)]
    totals = CellTotals.of(codes, subjects, n_attributes=1, max_items=2)
    assert [totals.count_subjects(level[code]) for code in range(3)] == [40, 20, 2]
    assert totals.tell(np.ones(3, dtype=bool), whole=True)
    assert not totals.tell(level[2]), "20 cases of 2 subjects"
    assert not totals.tell(~level[2]), "which leaves them"
    assert totals.tell(level[0])
    assert not totals.tell(level[1]), "all - 40 - 20"
    alone = CellTotals.of(codes, n_attributes=1, max_items=2)
    assert alone.tell(level[2]), "20 cases of 20"


def test_what_an_audit_says_of_two_subjects_with_many_cases_is_not_told() -> None:
    rng = np.random.default_rng(3)
    site = ["A"] * 60 + ["B"] * 30 + ["C"] * 20
    full = audit(dsc=np.r_[rng.normal(0.8, 0.05, 90), rng.normal(0.5, 0.05, 20)], site=site)
    assert {"C"} <= {level for (_, level) in (next(iter(row.subgroup.items)) for row in full.subgroups["dsc"])}
    subjects = (*range(90), *[90, 91] * 10)
    shared = share(changed(full, cases={"scores": dataclasses.replace(full.cases.scores, subjects=subjects)}))
    assert not any(row.subgroup.items == {("site", "C")} for row in shared.subgroups["dsc"])
    assert "C" not in shared.verdict.sentence.split(), shared.verdict.sentence
    assert any("they have fewer than 5 subjects" in alert.text for alert in shared.verdict.alerts)
    few = tuple(number % 4 for number in range(110))
    with pytest.raises(ConfigError, match="4 subjects are too few to hide anybody among"):
        share(changed(full, cases={"scores": dataclasses.replace(full.cases.scores, subjects=few)}))


@pytest.mark.parametrize(("n_cases", "words"), [(4, "too few")])
def test_too_few_cases_cannot_be_shared(n_cases: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        share(audit(dsc=np.linspace(0.1, 0.9, n_cases), sex=["f", "m"] * (n_cases // 2)))


def test_what_was_shared_cannot_be_shared_again_and_zeros_and_ones_cannot_be_shared() -> None:
    with pytest.raises(ConfigError, match="made to be shared already"):
        share(share(planted_three()))
    with pytest.raises(ConfigError, match="dsc is 0 or 1 for every case"):
        share(audit(dsc=np.array([0.0, 1.0] * 20), sex=["f", "m"] * 20))


def test_what_was_shared_decides_no_gate_and_compares_with_nothing() -> None:
    from segfair.audit.judging.gates import check_gates
    from segfair.compare.procedure import run_comparison
    from segfair.errors import InputError

    full = planted_three()
    with pytest.raises(ConfigError, match="made to be shared"):
        check_gates(share(full), ["significant(dsc) == 0"])
    with pytest.raises(InputError, match="made to be shared"):
        run_comparison(full, share(full))


def test_how_numbers_were_binned_does_not_tell_how_many_are_missing() -> None:
    rng = np.random.default_rng(0)
    age: list[int | None] = rng.integers(20, 90, 90).tolist()
    for index in (3, 40, 77):
        age[index] = None
    config = dataclasses.replace(DEFAULT, min_support=0.02)
    full = audit(config, dsc=rng.beta(5, 2, 90), age=age, site=rng.choice(["A", "B"], 90).tolist())
    assert "87 values" in json.dumps(full.to_dict()), "the full report tells it"
    shared = share(full)
    assert "87" not in json.dumps({name: bins.binning for name, bins in shared.attributes.bins.items()})
    reader = Reader(shared)
    assert not reader.solves({("age", "missing")})
    low, high = reader.bounds({("age", "missing")})
    assert low < 3 < high


class FileReader:
    """Whoever has only the published files: every count and every sum (count times mean) as a linear equation."""

    def __init__(self, folder: Path) -> None:
        tree = json.loads((folder / "audit.json").read_text("utf-8"))
        self.levels = {name: (*bins["levels"], None) for name, bins in tree["bins"].items()}
        self.cells = list(itertools.product(*self.levels.values()))
        self.told: dict[frozenset, set[int]] = {frozenset(): {tree["cases"]["n_scored"]}}
        overall = {name: facts["mean"] for name, facts in tree["outcomes"].items()}
        n_cases = tree["cases"]["n_scored"]
        for attribute in tree["attributes"]:
            for level in attribute["levels"]:
                self.learn({attribute["name"]: level["level"]}, level["n"])
        for entry in tree["power"]:
            self.learn({entry["attribute"]: entry["level"]}, entry["n"])
        for outcome, rows in tree["subgroups"].items():
            for row in rows:
                self.learn(row["items"], row["n"])
                self.learn(row["items"], round(row["support"] * n_cases))
                if row["rest_mean"] is not None and abs(row["mean"] - row["rest_mean"]) > 1e-9:
                    self.learn(
                        row["items"],
                        round(n_cases * (overall[outcome] - row["rest_mean"]) / (row["mean"] - row["rest_mean"])),
                    )
        page = (folder / "report.html").read_text("utf-8")
        self.payload = json.loads(page.partition('id="subgroup-data">')[2].partition("</script>")[0])
        for outcome in self.payload["outcomes"]:
            for coded, *_, n in (row[:5] for row in outcome["rows"]):
                pairs = [self.payload["items"][code] for code in coded]
                self.learn({self.payload["attributes"][place]: level for place, level in pairs}, n)
        for line in csv.DictReader((folder / "subgroups.csv").read_text("utf-8").splitlines()):
            items = dict(part.split(" = ") for part in line["subgroup"].split(", "))
            self.learn(items, int(line["n"]))

    def learn(self, items: dict[str, str], n: int) -> None:
        self.told.setdefault(frozenset(items.items()), set()).add(n)

    def indicator(self, items) -> np.ndarray:
        place = {name: index for index, name in enumerate(self.levels)}
        return np.array([all(cell[place[name]] == level for name, level in items) for cell in self.cells], dtype=float)

    def solves(self, items) -> bool:
        told = np.array([self.indicator(known) for known in self.told])
        return np.linalg.matrix_rank(told) == np.linalg.matrix_rank(np.vstack([told, self.indicator(items)]))


def test_the_published_files_cannot_be_solved_for_a_planted_cell(tmp_path: Path) -> None:
    full = planted_three()
    write_report(share(full), tmp_path / "share")
    reader = FileReader(tmp_path / "share")
    assert len(reader.told) > 2, "something is told"
    assert all(len(counts) == 1 for counts in reader.told.values()), "all files tell the same"
    assert all(n >= SMALLEST for counts in reader.told.values() for n in counts)
    for cell in ({("site", "C")}, {("site", "B"), ("sex", "m")}):
        # A sum (count times mean) is an equation with the same coefficients: what hides the count hides the mean.
        assert not reader.solves(cell)
    # The same reader solves both from the full report.
    write_report(full, tmp_path / "full")
    told_all = FileReader(tmp_path / "full")
    for cell in ({("site", "C")}, {("site", "B"), ("sex", "m")}):
        assert told_all.solves(cell)


def test_no_small_group_of_a_real_table_can_be_solved(tmp_path: Path) -> None:
    """442 patients of Efron et al. 2004 (scikit-learn's diabetes data): ages by decade, body mass by WHO's classes."""
    from sklearn.datasets import load_diabetes

    frame = load_diabetes(scaled=False, as_frame=True).frame
    mass = np.digitize(frame["bmi"], [18.5, 25, 30, 35, 40])
    made = {
        "age": [f"{int(age) // 10}0s" for age in frame["age"]],
        "sex": ["f" if sex == 1 else "m" for sex in frame["sex"]],
        "bmi": [("under", "normal", "over", "obese I", "obese II", "obese III")[index] for index in mass],
        "pressure": ["high" if pressure >= 105 else "normal" for pressure in frame["bp"]],
    }
    full = audit(
        dataclasses.replace(DEFAULT, min_support=0.01, max_items=3, permutations=99, bootstrap=100),
        dsc=(frame["target"] / 350).to_numpy(),
        **made,
    )
    hidden = list(small_groups(full, 4))
    assert len(hidden) > 50
    assert any(Reader(full).solves(items) for items, _ in hidden[:5]), "the full report tells some"
    shared = share(full)
    reader = Reader(shared)
    told = np.array(reader.rows)
    # What lies in the span of the told totals has no part outside of it.
    basis = np.linalg.svd(told, full_matrices=False)
    span = basis[2][basis[1] > 1e-9]
    for items, n in hidden:
        wanted = reader.indicator(items)
        assert np.linalg.norm(wanted - span.T @ (span @ wanted)) > 1e-6, (sorted(items), n)
    # Intervals: whoever reckons with whole numbers does not learn the number either.
    for items, n in hidden[:: max(1, len(hidden) // 25)]:
        low, high = reader.bounds(items)
        assert low < high, (sorted(items), n, low, high)
    assert len(shared.subgroups["dsc"]) > 20, "something is still told"
    assert all(row.n >= SMALLEST for row in shared.subgroups["dsc"])
    write_report(shared, tmp_path)
    files = FileReader(tmp_path)
    assert all(n >= SMALLEST for counts in files.told.values() for n in counts)
    assert all(len(counts) == 1 for counts in files.told.values())


def with_reasons(result: AuditResult) -> AuditResult:
    """The audit, told of each finding that a missed lesion and an unusable prediction made half of its gap each."""
    gaps = tuple(
        GapParts(
            finding.items, finding.estimate.n_cases, finding.estimate.value, "difference", 0,
            (
                Part("size_and_shape", finding.estimate.value / 4, (-0.2, 0.1)),
                Part("missed", finding.estimate.value / 2, (-0.3, 0.1)),
                Part("no_prediction", finding.estimate.value / 4, None),
            ),
            f"Of the gap of {finding.items.name}, half is made by 3 missed lesions.",
        )
        for finding in result.subgroups.findings
    )  # fmt: skip
    deficit = (Part("size_and_shape", 0.1), Part("missed", 0.15))
    cases = (CaseParts("c0001", {"missed": 1.0}),)
    reasons = Reasons("dsc", "mm", (BoundaryError("", 1.0, 7),), 90, 1, 80, deficit, gaps, cases)
    return changed(result, subgroups={"reasons": reasons})


def test_of_gaps_size_and_all_else_are_told_and_no_counts() -> None:
    full = with_reasons(audit(DEFAULT, **planted(np.random.default_rng(3), 240, 0.3)))
    assert full.subgroups.findings
    shared = share(full).subgroups
    reasons = shared.reasons
    assert reasons is not None
    assert [gap.items for gap in reasons.gaps] == [finding.items for finding in shared.findings]
    for gap in reasons.gaps:
        assert [part.name for part in gap.parts] == ["size_and_shape", "else"]
        assert sum(part.value for part in gap.parts) == pytest.approx(gap.value)
        assert gap.parts[1].ci is None
        assert gap.after is None
        assert "missed" not in gap.sentence
    assert [part.value for part in reasons.deficit] == pytest.approx([0.1, 0.15])
    assert (reasons.cases, reasons.n_compared, reasons.errors[0].n_cases) == ((), None, None)
    assert all(finding.place == 0 for finding in shared.findings)


def test_the_gap_of_a_group_that_is_not_told_is_not_told_either() -> None:
    full = with_reasons(audit(DEFAULT, **planted(np.random.default_rng(3), 240, 0.3)))
    reasons = full.subgroups.reasons
    assert reasons is not None
    unknown = dataclasses.replace(reasons.gaps[0], items=Subgroup(frozenset({("site", "small")})))
    more = changed(full, subgroups={"reasons": dataclasses.replace(reasons, gaps=(*reasons.gaps, unknown))})
    shared = share(more).subgroups.reasons
    assert shared is not None
    assert unknown.items not in [gap.items for gap in shared.gaps]
