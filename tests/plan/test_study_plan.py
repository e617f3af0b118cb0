"""A plan: what it says, its hash, and what it makes of the settings of an audit."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from segfair.audit.result import AuditConfig
from segfair.errors import ConfigError
from segfair.plan.study_plan import StudyPlan, read_plan
from segfair.protocol.rules import load_protocol


def plan_of(tmp_path: Path, text: str) -> StudyPlan:
    path = tmp_path / "study.toml"
    path.write_text(text, "utf-8")
    return read_plan(path)


def test_a_plan_is_the_settings_of_an_audit(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        """
        model = "v1"
        [plan]
        protocol = "mama-mia"
        outcome = "dsc"
        primary = ["sex", "site"]
        margin = {dsc = 0.05}
        gate = ["within_margin(sex)"]
        where = 'split == "test"'
        bins = {age = [0, 50, 100]}
        categorical = ["site"]
        min_cases = 20
        """,
    )
    assert plan.config == AuditConfig(
        "mama-mia",
        outcomes=("dsc",),
        primary=("sex", "site"),
        margin={"dsc": 0.05},
        bins={"age": (0.0, 50.0, 100.0)},
        read_as={"site": "categorical"},
        min_cases=20,
    )
    assert [gate.text for gate in plan.gates] == ["within_margin(sex)"]
    assert plan.where == 'split == "test"'


def test_the_hash_is_of_what_is_said_and_not_of_how(tmp_path: Path) -> None:
    """Spaces, comments, order, a list of one, and a default that is written out change nothing."""
    one = plan_of(tmp_path, '[plan]\nprimary = ["sex"]\nmargin = {dsc = 0.05}\n')
    other = plan_of(
        tmp_path, '# ours\ntitle = "x"\n[plan]\nmargin = {dsc = 0.05} # small\nlevel = 0.05\nprimary = "sex"\n'
    )
    assert one.digest == other.digest
    assert plan_of(tmp_path, '[plan]\nprimary = ["sex"]\nmargin = {dsc = 0.051}\n').digest != one.digest


def test_the_hash_can_be_made_by_hand(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, '[plan]\nprimary = ["sex"]\n')
    tree = {
        "format": 1,
        "primary": ["sex"],
        "protocol": {"name": "default", "digest": load_protocol("default").digest},
    }
    assert plan.tree == tree
    assert plan.digest == hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()


def test_a_protocol_lies_beside_the_plan_and_its_rules_are_fixed(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('name = "ours"\n[gates]\nrequire = ["FS >= 0.8"]\n', "utf-8")
    text = '[plan]\nprotocol = "rules.toml"\ngate = ["DSC >= 0.5"]\n'
    first = plan_of(tmp_path, text)
    assert [gate.text for gate in first.gates] == ["FS >= 0.8", "DSC >= 0.5"]
    rules.write_text('name = "ours"\n[normhd]\nscale = 100.0\n[gates]\nrequire = ["FS >= 0.8"]\n', "utf-8")
    assert plan_of(tmp_path, text).digest != first.digest


def test_what_was_asked_otherwise_stays(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, '[plan]\nprimary = ["sex"]\nseed = 7\nmin_cases = 20\n')
    config = plan.applied(AuditConfig(min_cases=5))
    assert (config.primary, config.seed, config.min_cases) == (("sex",), 7, 5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('title = "x"\n', "no table [plan]"),
        ("plan = 3\n", "expected a table, got 3"),
        ('[plan]\nprimry = ["sex"]\n', "unknown key primry"),
        ("[plan]\nprimary = 3\n", "primary"),
        ("[plan]\nlevel = 0.7\n", "up to 0.5"),
        ("[plan]\nmargin = {dsc = -0.1}\n", "above 0"),
        ('[plan]\ngate = ["FS >= 7"]\n', "FS lies between 0 and 1"),
        ('[plan]\nprotocol = "nowhere.toml"\n', "nowhere.toml"),
        ("[plan]\noutcome = []\n", "at least one metric"),
        ('[plan]\ncategorical = ["a"]\nnumeric = ["a"]\n', "one of them can hold"),
        ("[plan]\n[plan.sample_size]\ncases = 60\n", "sd"),
        ("[plan]\n[plan.sample_size]\nsd = 0.1\nshares = {sex = {f = 0.5, m = 0.5}}\n", "not among primary"),
        (
            '[plan]\nprimary = ["sex"]\n[plan.sample_size]\nsd = 0.1\nshares = {sex = {f = 0.5, m = 0.6}}\n',
            "a sum of 1.1",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=r"study\.toml") as refused:
        plan_of(tmp_path, text)
    assert says in str(refused.value)
