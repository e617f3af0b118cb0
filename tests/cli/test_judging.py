"""`protocol`, `power` and `gate`: what they print, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path


def test_protocol_prints_toml_that_can_be_used(call_cli, phantom_cohort: Path, tmp_path: Path) -> None:
    def scores(name: str, protocol: object) -> dict:
        inputs = [phantom_cohort / part for part in ("preds", "labels", "metadata.csv")]
        quick = ("--workers", 1, "--permutations", 199, "--bootstrap", 100)
        done = call_cli("audit", *inputs, "--protocol", protocol, "--out", tmp_path / name, *quick)
        assert done.returncode == 0, done.stderr
        return json.loads((tmp_path / name / "audit.json").read_text("utf-8"))["scores"]

    (tmp_path / "mine.toml").write_text(call_cli("protocol", "mama-mia").stdout)
    assert scores("a", tmp_path / "mine.toml") == scores("b", "mama-mia")


def test_power_gives_a_line_a_group(call_cli, tmp_path: Path) -> None:
    """12 of 40 at one site, the rest at another: both can be tested, and a third site of 2 cannot."""
    sites = ["a"] * 12 + ["b"] * 26 + ["c"] * 2
    rows = [f"case_{number:02d},{site}" for number, site in enumerate(sites)]
    table = tmp_path / "metadata.csv"
    table.write_text("\n".join(["case_id,site", *rows]) + "\n", "utf-8")
    done = call_cli("power", table, "--gap", "0.1")
    assert done.returncode == 0, done.stderr
    lines = {line.split("  ")[0].strip(): line for line in done.stdout.splitlines()}
    assert "40 patients, standard deviation 0.180" in done.stdout
    assert lines["group"].endswith("n for a gap of 0.1")
    assert [lines[f"site = {site}"].split()[3] for site in "abc"] == ["12", "26", "2"]
    assert [lines[f"site = {site}"].endswith("too few cases") for site in "abc"] == [False, False, True]


def test_power_says_where_no_group_is_large_enough(call_cli, phantom_cohort: Path) -> None:
    done = call_cli("power", phantom_cohort / "metadata.csv", "--min-cases", "40")
    assert done.returncode == 0, done.stderr
    assert "too few cases: no group has 40 members and 40 others" in done.stdout
