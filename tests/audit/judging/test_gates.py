"""Gates: what the grammar takes, what decides, and the exit codes that a pipeline sees."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from tests.audit.made_up_audits import changed
from tests.score_fixtures import audit_of, found_only_beforehand, skewed_dice, write_tables

from segfair.audit.judging.gates import check_gates, exit_code, parse_gate, require_answerable
from segfair.audit.result import TAUGHT_BINS, AuditResult, CaseCounts, GateFacts, PowerFacts, Score
from segfair.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def result() -> AuditResult:
    rng = np.random.default_rng(0)
    dice = skewed_dice(300, rng)
    return audit_of(
        {"dsc": dice, "normhd": 0.3 * (1 - dice)},
        {"sex": rng.choice(["F", "M"], 300), "site": rng.choice(["A", "B", "C"], 300)},
        margin={"dsc": 0.05},
    )


def state(result: AuditResult, gate: str) -> str:
    (facts,) = check_gates(result, [gate])
    assert facts.reason
    return facts.state


@pytest.mark.parametrize(
    ("text", "form", "name", "sign", "limit"),
    [
        ("FS >= 0.85", "score", "FS", ">=", 0.85),
        ("  fs>=.85 ", "score", "FS", ">=", 0.85),
        ("normhd < 1.5e-1", "score", "NormHD", "<", 0.15),
        ("worst.dsc > 0.5", "worst", "dsc", ">", 0.5),
        ("worst.hd95_mm <= 20", "worst", "hd95_mm", "<=", 20.0),
        ("worst.Dice (tumour) > 0.5", "worst", "Dice (tumour)", ">", 0.5),
        ("within_margin( sex )", "within_margin", "sex", "", 0.0),
        ("within_margin(age (years))", "within_margin", "age (years)", "", 0.0),
        ("significant(dsc)==0", "significant", "dsc", "", 0.0),
        ("coverage >= 0.98", "coverage", "", ">=", 0.98),
    ],
)
def test_the_grammar_takes(text: str, form: str, name: str, sign: str, limit: float) -> None:
    gate = parse_gate(text)
    assert (gate.form, gate.name, gate.sign, gate.limit) == (form, name, sign, limit)
    assert gate.text == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "FS",
        "FS >= ",
        "FS == 0.9",
        "FS >= 0,85",
        "FS >= 0.85 and PS >= 0.8",
        "FS >= nan",
        "__import__('os').system('true')",
        "FS >= 1 if True else 0",
        "GS >= 0.5",
        "worst >= 0.5",
        "worst. > 0.5",
        "within_margin()",
        "within_margin(sex) == 0",
        "significant(dsc)",
        "significant(dsc) == 1",
        "significant(dsc) <= 0",
        "coverage",
    ],
)
def test_everything_else_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape("not understood; the forms are")):
        parse_gate(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("coverage >= 98", "lies between 0 and 1, got 98"),
        ("FS >= 85", "FS lies between 0 and 1"),
        ("coverage < 0.5", "required from below"),
        ("coverage >= 0", "decides nothing, since coverage is never below 0"),
        ("DSC >= 0", "decides nothing, since DSC is never below 0"),
        ("FS > 1", "decides nothing, since FS is never above 1"),
        ("NormHD < 0", "decides nothing, since NormHD is never below 0"),
        ("NormHD <= -0.5", "NormHD is never below 0, got -0.5"),
        ("worst.dsc >= 0", "decides nothing, since dsc is never below 0"),
        ("worst.dsc > 50", "dsc lies between 0 and 1, got 50"),
        ("worst.nsd_2mm > 1", "decides nothing, since nsd_2mm is never above 1"),
        ("DSC <= 1", "higher DSC is better, so compare with >= or >"),
        ("FS <= 0.85", "higher FS is better, so compare with >= or >"),
        ("NormHD >= 0.1", "lower NormHD is better, so compare with <= or <"),
    ],
)
def test_a_limit_that_decides_nothing_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_gate(text)


@pytest.mark.parametrize(
    ("interval", "gate", "expected"),
    [
        ((0.86, 0.95), "FS >= 0.85", "pass"),
        ((0.85, 0.95), "FS >= 0.85", "pass"),
        ((0.85, 0.95), "FS > 0.85", "undecided"),
        ((0.84, 0.95), "FS >= 0.85", "undecided"),
        ((0.70, 0.84), "FS >= 0.85", "fail"),
        (None, "FS >= 0.85", "undecided"),
    ],
)
def test_the_interval_decides_not_the_point(
    result: AuditResult, interval: tuple[float, float] | None, gate: str, expected: str
) -> None:
    scores = {**result.scores, "FS": Score(0.9, ci=interval)}
    assert state(changed(result, scores={"by_name": scores}), gate) == expected


@pytest.mark.parametrize("text", ["DSC > 0", "FS >= 1", "NormHD <= 0", "NormHD < 5", "worst.hd95_mm < 500"])
def test_a_limit_that_some_values_miss_is_taken(text: str) -> None:
    assert parse_gate(text).text == text


@pytest.mark.parametrize(
    ("interval", "gate", "expected"),
    [
        ((0.05, 0.10), "NormHD <= 0.10", "pass"),
        ((0.05, 0.10), "NormHD < 0.10", "undecided"),
        ((0.11, 0.20), "NormHD <= 0.10", "fail"),
    ],
)
def test_a_distance_is_required_from_above(
    result: AuditResult, interval: tuple[float, float], gate: str, expected: str
) -> None:
    scores = {**result.scores, "NormHD": Score(0.1, ci=interval)}
    assert state(changed(result, scores={"by_name": scores}), gate) == expected


def test_a_score_without_a_value_is_undecided_and_says_why(result: AuditResult) -> None:
    scores = {**result.scores, "FS": Score(None, reason="no attribute has two levels of at least 10 cases")}
    (facts,) = check_gates(changed(result, scores={"by_name": scores}), ["FS >= 0.85"])
    assert facts.state == "undecided"
    assert "no attribute" in facts.reason


def test_dice_alone_can_be_gated_but_has_no_fairness_score() -> None:
    rng = np.random.default_rng(1)
    alone = audit_of({"dsc": rng.normal(0.8, 0.05, 100)}, {"sex": rng.choice(["F", "M"], 100)})
    assert list(alone.scores) == ["DSC"]
    assert state(alone, "DSC >= 0.75") == "pass"
    assert state(alone, "DSC >= 0.85") == "fail"
    with pytest.raises(ConfigError, match="FS needs dsc and normhd, and normhd is not scored"):
        check_gates(alone, ["FS >= 0.85"])


def test_worst_speaks_of_means_that_hold_together(result: AuditResult) -> None:
    """Not of divergences moved by the overall mean: nearly everybody's mean is as uncertain as everybody's."""
    rng = np.random.default_rng(3)
    dice = np.clip(rng.normal(0.70, 0.2, 120), 0, 1)
    group = np.where(np.arange(120) < 110, "most", "few")
    audit = audit_of({"dsc": dice}, {"group": group}, min_cases=20)
    mean, error = dice[:110].mean(), dice[:110].std() / np.sqrt(110)
    assert state(audit, f"worst.dsc > {mean - 4 * error:.4f}") == "pass"
    assert state(audit, f"worst.dsc > {mean - 1 * error:.4f}") == "undecided"
    assert state(audit, f"worst.dsc > {mean + 4 * error:.4f}") == "fail"


def test_worst_is_the_worst_of_all_judged_subgroups(result: AuditResult) -> None:
    rng = np.random.default_rng(4)
    site = np.repeat(["A", "B", "C"], [100, 100, 4])
    dice = np.where(site == "A", 0.9, np.where(site == "B", 0.6, 0.1)) + rng.normal(0, 0.02, 204)
    audit = audit_of({"dsc": dice}, {"site": site}, min_support=0.01)
    (facts,) = check_gates(audit, ["worst.dsc > 0.5"])
    assert facts.state == "pass"
    assert "site = B" in facts.reason and "1 are too small to be judged" in facts.reason
    assert state(audit, "worst.dsc > 0.7") == "fail"


def test_worst_of_a_distance_is_the_largest() -> None:
    rng = np.random.default_rng(5)
    site = np.repeat(["A", "B"], 60)
    distance = np.where(site == "A", 5.0, 12.0) + rng.normal(0, 1, 120)
    audit = audit_of({"hd95_mm": distance}, {"site": site})
    assert state(audit, "worst.hd95_mm < 15") == "pass"
    assert state(audit, "worst.hd95_mm < 8") == "fail"
    with pytest.raises(ConfigError, match="lower hd95_mm is better, so compare with <= or <"):
        check_gates(audit, ["worst.hd95_mm > 8"])


def test_a_significant_subgroup_fails_and_silence_needs_power(result: AuditResult) -> None:
    rng = np.random.default_rng(6)
    sex = rng.choice(["F", "M"], 400)
    harmed = audit_of({"dsc": rng.normal(0.8, 0.05, 400) - 0.1 * (sex == "F")}, {"sex": sex})
    assert state(harmed, "significant(dsc) == 0") == "fail"
    equal = audit_of({"dsc": rng.normal(0.8, 0.05, 400)}, {"sex": sex})
    assert state(equal, "significant(dsc) == 0") == "pass"
    finer = changed(equal, about={"config": dataclasses.replace(equal.about.config, power_gap=0.005)})
    (facts,) = check_gates(finer, ["significant(dsc) == 0"])
    assert facts.state == "undecided"
    assert "cannot detect a gap of 0.005 with 80 % power in 2 of 2 levels" in facts.reason


def test_what_is_significant_in_the_family_fixed_beforehand_fails_too() -> None:
    result = found_only_beforehand()
    assert result.verdict.kind == "disparity found"
    (facts,) = check_gates(result, ["significant(dsc) == 0"])
    assert facts.state == "fail"
    assert facts.reason.startswith(
        "2 levels fixed beforehand are significant (2 tests), explained by 1 finding, first sex = F (n = 80"
    )
    equal = audit_of(
        {"dsc": np.random.default_rng(6).normal(0.8, 0.05, 400)}, {"sex": ["F", "M"] * 200}, primary=("sex",)
    )
    (facts,) = check_gates(equal, ["significant(dsc) == 0"])
    assert facts.state == "pass"
    assert "none of 1 tested subgroups and none of 2 levels fixed beforehand is significant" in facts.reason


def test_a_level_without_a_case_is_no_blind_spot() -> None:
    rng = np.random.default_rng(6)
    equal = audit_of({"dsc": rng.normal(0.8, 0.05, 400)}, {"sex": rng.choice(["F", "M"], 400)})
    empty = changed(equal, subgroups={"power": (*equal.subgroups.power, PowerFacts("age", "71+", 0, None, None))})
    small = changed(equal, subgroups={"power": (*equal.subgroups.power, PowerFacts("age", "71+", 3, 0.2, 200))})
    assert state(empty, "significant(dsc) == 0") == "pass"
    assert state(small, "significant(dsc) == 0") == "undecided"


def test_coverage_counts_every_chosen_case(result: AuditResult) -> None:
    counts = CaseCounts(98, {"a": "no prediction"}, ("a",), {"b": "label: broken", "c": TAUGHT_BINS})
    audit = changed(result, cases={"counts": counts})
    assert state(audit, "coverage >= 0.97") == "pass"  # 97 of 99: the case that taught the bins was scored
    assert state(audit, "coverage >= 0.98") == "fail"


def test_a_gate_on_what_was_not_examined_is_refused(result: AuditResult) -> None:
    for gate, message in [
        ("worst.iou > 0.5", "iou is not an outcome of this audit (dsc)"),
        ("significant(hd95_mm) == 0", "name it with --outcome"),
        ("within_margin(gender)", "gender is not an attribute of this audit; there are sex, site"),
    ]:
        with pytest.raises(ConfigError, match=re.escape(message)):
            check_gates(result, [gate])
    config = dataclasses.replace(result.about.config, margin={})
    with pytest.raises(ConfigError, match=r"declare the margin, for example --margin dsc=0\.05"):
        require_answerable([parse_gate("within_margin(sex)")], config, directions={"dsc": "higher"})


def test_an_audit_without_its_cases_cannot_say_who_is_worst(result: AuditResult) -> None:
    shared = changed(result, cases={"scores": dataclasses.replace(result.cases.scores, rows=())})
    with pytest.raises(ConfigError, match="no scores of single cases"):
        check_gates(shared, ["worst.dsc > 0.5"])


def test_a_failure_outweighs_an_open_question() -> None:
    def code(*states: str) -> int:
        return exit_code([GateFacts("FS >= 0.5", entry, "") for entry in states])  # type: ignore[arg-type]

    assert code() == code("pass") == 0
    assert code("pass", "undecided") == 3
    assert code("undecided", "fail", "pass") == 1


def test_a_repeated_gate_counts_once(result: AuditResult) -> None:
    assert len(check_gates(result, ["FS >= 0.5", " FS >= 0.5", "PS >= 0.5"])) == 2


@pytest.mark.parametrize(
    ("n", "gap", "code", "found"),
    [(2000, 0.0, 0, "pass"), (80, 0.0, 3, "undecided"), (2000, 0.12, 1, "fail")],
    ids=["equal", "equal but few", "gap"],
)
def test_within_margin_from_tables_of_scores(
    call_cli, tmp_path: Path, n: int, gap: float, code: int, found: str
) -> None:
    scores, metadata = write_tables(tmp_path, n=n, gap=gap)
    out, gate = tmp_path / "out", "within_margin(sex)"
    done = call_cli("audit-scores", scores, metadata, "--out", out, "--margin", "dsc=0.05", "--gate", gate)
    assert done.returncode == code, done.stdout + done.stderr
    assert f"{found:<9}  {gate}: " in done.stdout
    (stored,) = json.loads((out / "audit.json").read_text("utf-8"))["gates"]
    assert (stored["gate"], stored["state"]) == (gate, found)
    assert gate in (out / "report.html").read_text("utf-8")
    again = call_cli("gate", out / "audit.json")
    assert again.returncode == code, again.stdout + again.stderr
    assert again.stdout.strip() in done.stdout


def test_gates_of_the_protocol_are_required(call_cli, tmp_path: Path) -> None:
    scores, metadata = write_tables(tmp_path, n=200, gap=0.12)
    protocol = tmp_path / "gated.toml"
    protocol.write_text('format = 1\nname = "gated"\n[gates]\nrequire = ["DSC >= 0.95"]\n')
    done = call_cli("audit-scores", scores, metadata, "--out", tmp_path / "a", "--protocol", protocol)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "fail       DSC >= 0.95" in done.stdout
    plain = call_cli("audit-scores", scores, metadata, "--out", tmp_path / "b")
    assert plain.returncode == 0, "whatever was found, without a gate the command is done"
    asked = call_cli("gate", tmp_path / "b" / "audit.json", "--gate", "DSC >= 0.5", "--gate", "coverage >= 0.98")
    assert asked.returncode == 0, asked.stdout + asked.stderr
    nothing = call_cli("gate", tmp_path / "b" / "audit.json")
    assert nothing.returncode == 2 and "name at least one" in nothing.stderr


@pytest.mark.parametrize("command", ["audit", "audit-scores"])
def test_a_typo_stops_before_anything_is_read(call_cli, tmp_path: Path, command: str) -> None:
    folders = ["preds", "labels", "metadata.csv"][3 - (3 if command == "audit" else 2) :]
    paths = [tmp_path / "nowhere" / name for name in folders]
    done = call_cli(command, *paths, "--out", tmp_path / "out", "--gate", "FS => 0.85")
    assert done.returncode == 2
    assert "gate 'FS => 0.85': not understood" in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_attribute_that_is_no_column_stops_before_scoring(call_cli, phantom_cohort: Path, tmp_path: Path) -> None:
    paths = [phantom_cohort / name for name in ("preds", "labels", "metadata.csv")]
    options = ("--out", tmp_path / "out", "--margin", "dsc=0.05", "--gate", "within_margin(sitee)")
    done = call_cli("audit", *paths, *options)
    assert done.returncode == 2
    assert "sitee is not an attribute of this audit" in done.stderr and "site" in done.stderr
    assert not (tmp_path / "out").exists()
    wrong = call_cli("audit", *paths, "--out", tmp_path / "out", "--gate", "worst.dsc < 0.5")
    assert wrong.returncode == 2 and "compare with >= or >" in wrong.stderr


def test_the_workflow_example_uses_gates_that_exist() -> None:
    text = (ROOT / "examples" / "gate-workflow.yml").read_text("utf-8")
    gates = re.findall(r"--gate \"([^\"]+)\"", text)
    assert len(gates) >= 3
    for gate in gates:
        parse_gate(gate)
    assert "segfair audit " in text and "\t" not in text


def test_the_exit_code_reaches_the_shell(run_cli, tmp_path: Path) -> None:
    scores, metadata = write_tables(tmp_path, n=60, gap=0.0)
    few = ("--permutations", 99, "--bootstrap", 100)
    done = run_cli("audit-scores", scores, metadata, "--out", tmp_path / "out", "--gate", "DSC >= 0.9", *few)
    assert done.returncode == 1, done.stdout + done.stderr
