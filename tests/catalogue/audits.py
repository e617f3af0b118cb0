"""Audits and manifests that were edited by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.catalogue.cause import AUDITS, Cause, Make, change, edited_audit, written

__all__ = ["CAUSES"]

_DEEP = '{"format": 2, "record": ' + "[" * 200_000 + "]" * 200_000 + "}"
_LESS_DEEP = '{"format": 2, "record": ' + "[" * 900 + "]" * 900 + "}"
_DIGITS = '{"format": 2, "record": {"n": ' + "1" * 5000 + "}}"


def _text(name: str, command: str, content: str | bytes, *says: str) -> Cause:
    return Cause(f"audit.json: {name}", AUDITS[command], says or ("audit.json",), written("audit.json", content))


TEXTS = [
    _text("empty", "report", "", "audit.json", "not JSON"),
    _text("cut off", "gate", '{"format": 2, "scores": {', "not JSON", "line 1"),
    _text("no JSON but HTML", "card", "<html></html>", "not JSON"),
    _text("two values", "compare", "{} {}", "not JSON"),
    _text("a list", "report", "[]", "list"),
    _text("a text", "gate", '"audit"', "text"),
    _text("a number", "card", "3", "number"),
    _text("null", "weights", "null", "nothing"),
    _text("no key at all", "report", "{}", "format"),
    _text("format of tomorrow", "report", '{"format": 3}', "format is 3"),
    _text("format a text", "compare", '{"format": "2"}', "format"),
    _text("format true", "gate", '{"format": true}', "format"),
    _text("deep", "report --share", _DEEP, "nested"),
    _text("deep, less", "report", _LESS_DEEP, "nested"),
    _text("5,000 digits", "report", _DIGITS, "digits"),
    _text("5,000 digits, after", "compare (after)", _DIGITS, "digits"),
    _text("UTF-16", "report", '{"format": 2}'.encode("utf-16"), "UTF-8"),
    _text("Latin-1", "gate", '{"format": 2, "name": "\xe4"}'.encode("latin-1"), "UTF-8"),
    _text("a byte of zero", "report", b'{"format": 2}\x00', "not JSON"),
    _text("NaN", "gate", '{"format": 2, "scores": NaN}', "NaN"),
    _text("Infinity", "report", '{"format": 2, "scores": -Infinity}', "Infinity"),
    _text("a key twice", "card", '{"format": 2, "scores": 1, "scores": 2}', "scores", "twice"),
    _text("a comparison's file", "report", '{"format": 1, "audits": []}', "audit.json"),
    _text("a manifest", "gate", '{"format": 1, "written_by": "segfair", "inputs": {}, "outputs": {}}', "audit.json"),
]

_EDITS: list[tuple[str, str, dict[str, Any], tuple[str, ...]]] = [
    ("an interval of one number", "report", {"scores.FS.ci": [0.5]}, ("scores.FS.ci", "two")),
    ("an interval of three numbers", "gate", {"scores.FS.ci": [0.1, 0.2, 0.3]}, ("scores.FS.ci",)),
    ("an interval that is a text", "card", {"scores.FS.ci": "0.1-0.2"}, ("scores.FS.ci",)),
    ("a score that is a text", "gate", {"scores.DSC.value": "good"}, ("scores.DSC.value", "number", "good")),
    ("a score that is true", "report", {"scores.DSC.value": True}, ("scores.DSC.value",)),
    ("a score that is a list", "compare", {"scores.DSC.value": [0.5]}, ("scores.DSC.value",)),
    ("scores are a list", "weights", {"scores": []}, ("scores",)),
    ("scores are null", "report", {"scores": None}, ("scores",)),
    ("a score's p is a text", "gate", {"scores.FS.chance.p_value": "small"}, ("scores.FS.chance.p_value",)),
    ("config is null", "gate", {"config": None}, ("config",)),
    ("config is a list", "report", {"config": []}, ("config",)),
    ("min_cases is a text", "compare", {"config.min_cases": "ten"}, ("min_cases", "ten")),
    ("min_cases is half", "report", {"config.min_cases": 2.5}, ("min_cases",)),
    ("outcomes of the config empty", "report --share", {"config.outcomes": []}, ("outcomes",)),
    ("an outcome of the config that is not there", "report", {"config.outcomes": ["dice"]}, ("dice",)),
    ("protocol is null", "report", {"protocol": None}, ("protocol",)),
    ("an unknown key in the protocol", "report", {"protocol.colour": "blue"}, ("protocol", "colour")),
    ("no protocol", "gate", {"protocol": ...}, ("protocol",)),
    ("inputs is a list", "gate", {"inputs": []}, ("inputs",)),
    ("versions is a list", "weights", {"versions": []}, ("versions",)),
    ("cases is a number", "card", {"cases": 3}, ("cases",)),
    ("cases has no penalised", "report", {"cases.penalised": ...}, ("penalised",)),
    ("penalised is an object", "report --share", {"cases.penalised": {"a": "b"}}, ("penalised",)),
    ("penalised is an object, gate", "gate", {"cases.penalised": {"a": 1}}, ("penalised",)),
    ("excluded is a text", "report", {"cases.excluded": "none"}, ("excluded",)),
    ("n_scored is a text", "gate", {"cases.n_scored": "all"}, ("n_scored",)),
    ("n_scored is negative", "report", {"cases.n_scored": -4}, ("n_scored",)),
    ("n_scored is not the number of rows", "report", {"cases.n_scored": 7}, ("n_scored", "7", "24")),
    ("rows of one cell", "report", {"case_scores.rows": [["a"]]}, ("case_scores.rows",)),
    ("a row of objects", "report", {"case_scores.rows.3": {"a": 1}}, ("case_scores.rows",)),
    ("a row too long", "compare", {"case_scores.rows.3": list(range(40))}, ("case_scores.rows",)),
    ("rows are null", "report", {"case_scores.rows": None}, ("case_scores.rows",)),
    ("a cell that is a list", "report", {"case_scores.rows.2.1": [1]}, ("case_scores.rows",)),
    ("a score of a case that is a text", "gate", {"case_scores.rows.2.1": "bad"}, ("case_scores", "dsc", "bad")),
    ("a case that stands twice", "compare", {"case_scores.rows.2.0": "PH0001"}, ("PH0001", "twice")),
    ("columns that are too few", "report", {"case_scores.columns": ["case"]}, ("case_scores",)),
    ("a column twice", "report", {"case_scores.columns.2": "dsc"}, ("dsc", "twice")),
    ("no column of cases", "compare", {"case_scores.columns.0": "patient"}, ("case",)),
    ("an unknown metric name", "report --share", {"case_scores.metrics.0": "dice"}, ("dice",)),
    ("an unknown attribute", "report", {"case_scores.attributes.0": "age"}, ("age",)),
    ("subgroups empty", "report", {"subgroups": {}}, ("subgroups",)),
    ("subgroups a list", "compare", {"subgroups": []}, ("subgroups",)),
    ("subgroups of an outcome that is not there", "gate", {"subgroups": {"hd95": []}}, ("hd95",)),
    ("a subgroup without items", "report", {"subgroups.dsc.0.items": ...}, ("items",)),
    ("a subgroup of numbers", "report", {"subgroups.dsc.0.items": {"site": 3}}, ("items",)),
    ("a subgroup's items a list", "gate", {"subgroups.dsc.0.items": ["site"]}, ("items",)),
    ("a subgroup's n is a text", "report", {"subgroups.dsc.0.n": "12"}, ("subgroups.dsc", "n", "12")),
    ("a subgroup without shapley", "compare", {"subgroups.dsc.0.shapley": ...}, ("shapley",)),
    ("shapley an object", "report", {"subgroups.dsc.0.shapley": {"a": 1}}, ("shapley",)),
    ("an estimate that is a number", "gate", {"subgroups.dsc.0.estimate": 0.1}, ("estimate",)),
    ("an estimate of an unknown kind", "report", {"subgroups.dsc.0.estimate.kind": "guess"}, ("kind", "guess")),
    ("a better of sideways", "report", {"outcomes.dsc.better": "sideways"}, ("better", "sideways")),
    ("no outcomes", "gate", {"outcomes": ...}, ("outcomes",)),
    ("outcomes without the audited one", "report", {"outcomes": {}}, ("outcomes",)),
    ("mean is a list", "report", {"outcomes.dsc.mean": [1]}, ("mean",)),
    ("a verdict whose kind is a number", "gate", {"verdict.kind": 5}, ("verdict.kind", "5")),
    ("no verdict", "card", {"verdict": ...}, ("verdict",)),
    ("the verdict's sentence is a number", "report", {"verdict.sentence": 5}, ("sentence",)),
    ("gates of unknown states", "card", {"gates": [{"gate": "a", "state": "odd"}]}, ("gates",)),
    ("gates a text", "weights", {"gates": "all"}, ("gates",)),
    ("binning is null", "report --share", {"binning": None}, ("binning",)),
    ("two_rulers is a number", "report", {"two_rulers": 3}, ("two_rulers",)),
    ("two_rulers is a number, compared", "compare", {"two_rulers": 3}, ("two_rulers",)),
    ("fairness is a list of null", "card", {"fairness": [None]}, ("fairness",)),
    ("power is a list of null", "compare", {"power": [None]}, ("power",)),
    ("power's n is a text", "report", {"power.0.n": "few"}, ("power", "few")),
    ("alerts are numbers", "weights", {"alerts": [1, 2]}, ("alerts",)),
    ("definitions is null", "report", {"definitions": None}, ("definitions",)),
    ("a level without median", "compare (after)", {"attributes.0.levels.0.median": ...}, ("median",)),
    ("a level that is a number", "report", {"attributes.0.levels.0": 4}, ("levels",)),
    ("an attribute without levels", "report", {"attributes.0.levels": []}, ("levels",)),
    ("attributes a text", "gate", {"attributes": "age"}, ("attributes",)),
    ("findings a number", "report", {"findings": 1}, ("findings",)),
    ("a finding without estimate", "card", {"findings": [{"items": {"site": "C"}}]}, ("findings",)),
    ("worst_off a text", "report", {"worst_off": "site C"}, ("worst_off",)),
    ("search a list", "report", {"search": []}, ("search",)),
    ("gallery a text", "report", {"gallery": "pictures"}, ("gallery",)),
    ("a slice without a size", "report", {"gallery.groups.0": {}}, ("gallery",)),
    ("joined a list", "report", {"joined": [1]}, ("joined",)),
    ("metrics without a unit", "gate", {"metrics.0.unit": ...}, ("metrics", "unit")),
    ("shared is a text", "report", {"shared": "yes"}, ("shared",)),
]

NUMBERS = [
    edited_audit("FS is infinite", "report --share", {}, "Infinity", text=('"TS"', '"x": Infinity, "TS"')),
    edited_audit(
        "a DSC of 10^400", "gate", {"case_scores.rows.0.1": 777_777}, "too large", text=("777777", "1" + "0" * 400)
    ),
    edited_audit(
        "a DSC that is 1e400", "report", {"case_scores.rows.0.1": 777_777}, "too large", text=("777777", "1e400")
    ),
    edited_audit("an n of 10^30", "card", {"subgroups.dsc.0.n": 777_777}, "too large", text=("777777", "1" + "0" * 30)),
]


def _manifest(change_of: dict[str, Any]) -> Make:
    def make(case: Path, base: Path) -> None:
        shutil.copytree(base / "report", case / "report")
        tree = json.loads((case / "report" / "manifest.json").read_text("utf-8"))
        for place, value in change_of.items():
            change(tree, place, value)
        (case / "report" / "manifest.json").write_text(json.dumps(tree), "utf-8")

    return make


def _manifest_text(content: str | bytes) -> Make:
    def make(case: Path, base: Path) -> None:
        shutil.copytree(base / "report", case / "report")
        (case / "report" / "manifest.json").write_bytes(content if isinstance(content, bytes) else content.encode())

    return make


_VERIFY = ("verify", "report", "--inputs", "{base}/preds", "{base}/labels", "{base}/metadata.csv")
MANIFESTS = [
    *(
        Cause(f"manifest.json: {name}", _VERIFY, ("manifest.json",), _manifest(edits))
        for name, edits in (
            ("files of an input is a number", {"inputs.labels.files": 3}),
            ("files of an input is a list", {"inputs.labels.files": ["a"]}),
            ("an input is a text", {"inputs.labels": "labels"}),
            ("inputs is a list", {"inputs": []}),
            ("outputs is a number", {"outputs": 3}),
            ("a hash is a number", {"outputs.audit%json": 3}),
            ("no outputs", {"outputs": ...}),
            ("written by somebody", {"written_by": "me"}),
        )
    ),
    *(
        Cause(f"manifest.json: {name}", ("verify", "report"), ("manifest.json",), _manifest_text(content))
        for name, content in (
            ("deep", "[" * 200_000),
            ("empty", ""),
            ("no JSON", "hello"),
            ("not UTF-8", b'{"written_by": "\xff"}'),
            ("a list", "[]"),
        )
    ),
    Cause(
        "manifest.json: a number of 5,000 digits, drawn over it",
        ("report", "report/audit.json", "--out", "report"),
        ("report",),
        _manifest_text('{"written_by": "segfair", "n": ' + "1" * 5000 + "}"),
    ),
    Cause("verify: no manifest", ("verify", "."), ("manifest.json",)),
    Cause("verify: no such folder", ("verify", "nowhere"), ("nowhere",)),
    Cause("verify: a file", ("verify", "a.txt"), ("a.txt",), written("a.txt", "x")),
    Cause(
        "verify: inputs that are not there",
        ("verify", "{base}/report", "--inputs", "no-preds", "no-labels", "no.csv"),
        ("no-preds", "does not exist"),
    ),
    Cause("verify: an unknown input", ("verify", "{base}/report", "--input", "masks=x"), ("masks",)),
]

CAUSES = [
    *TEXTS,
    *(edited_audit(name, command, edits, *says) for name, command, edits, says in _EDITS),
    *NUMBERS,
    *MANIFESTS,
]
