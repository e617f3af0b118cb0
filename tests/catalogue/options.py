"""Options whose value is outside of what it can be, and options that contradict each other."""

from __future__ import annotations

from tests.catalogue.cause import QUICK, Cause

__all__ = ["CAUSES"]

_AUDIT = ("audit", "{base}/preds", "{base}/labels", "{base}/metadata.csv", *QUICK)
_SCORES = (
    "audit-scores",
    "{base}/scores.csv",
    "{base}/metadata.csv",
    "--permutations",
    "99",
    "--bootstrap",
    "100",
    "--out",
    "out",
)
_POWER = ("power", "{base}/metadata.csv", "--sd", "0.2")
_RANK = ("rank", "{base}/teams", "{base}/labels", "{base}/metadata.csv", *QUICK)
_PHANTOM = ("phantom", "made")
_MITIGATE = ("mitigate", "{base}", "--out", "out", "--epochs", "1")

_NOT_FINITE = ("nan", "inf", "-inf", "1e400")


def _range(command: tuple[str, ...], option: str, values: tuple[str, ...]) -> list[Cause]:
    return [Cause(f"{command[0]} {option} {value}", (*command, option, value), (option,)) for value in values]


NUMBERS = [
    *_range(_SCORES, "--failure-dsc", (*_NOT_FINITE, "-1", "2", "10000000", "low", "")),
    *_range(_AUDIT, "--threshold", (*_NOT_FINITE, "-1", "2", "half")),
    *_range(_SCORES, "--gap", (*_NOT_FINITE, "-0.1", "0", "10000000")),
    *_range(_POWER, "--gap", (*_NOT_FINITE, "0", "-1")),
    *_range(("power", "{base}/metadata.csv"), "--sd", (*_NOT_FINITE, "0", "-1", "wide")),
    *_range(_SCORES, "--level", ("nan", "0", "1", "1.5", "-0.1")),
    *_range(_POWER, "--level", ("0", "1", "nan")),
    *_range(_SCORES, "--permutations", ("1000000000", "-1", "1.5", "many", "10000000000000000000000")),
    *_range(_SCORES, "--bootstrap", ("1000000000", "-1", "5", "nan")),
    *_range(_SCORES, "--min-support", (*_NOT_FINITE, "-0.1", "1.1", "5")),
    *_range(_SCORES, "--min-cases", ("0", "-3", "1.5", "ten")),
    *_range(_SCORES, "--max-items", ("0", "-1", "2.5")),
    *_range(_SCORES, "--seed", ("-1", "1.5", "x")),
    *_range(_SCORES, "--margin", ("dsc=nan", "dsc=-1", "dsc", "=0.1", "dsc=x", "dsc=inf")),
    *_range(_AUDIT, "--workers", ("0", "-1", "100000000", "two")),
    *_range(_AUDIT, "--spacing", ("0", "-1", "nan", "inf")),
    *_range(_RANK, "--permutations", ("1000000000", "-1")),
    *_range(_RANK, "--bootstrap", ("1000000000",)),
    *_range(_PHANTOM, "--seed", ("-1", "x", "99999999999999999999999999")),
    *_range(_PHANTOM, "--cases", ("1000000000000", "0", "-1", "x")),
    *_range(_MITIGATE, "--epochs", ("0", "-1", "x", "1000000000000")),
    *_range(_MITIGATE, "--lr", (*_NOT_FINITE, "0", "-1")),
    *_range(_MITIGATE, "--batch-size", ("0", "-1")),
    *_range(_MITIGATE, "--folds", ("1", "-1")),
    Cause("mitigate --folds 1000", (*_MITIGATE, "--folds", "1000"), ("folds", "patients")),
    *_range(_MITIGATE, "--seeds", ("0", "-1")),
]

SIZES = [
    Cause(f"phantom --size {size}", (*_PHANTOM, "--size", *size.split()), ("size",))
    for size in ("100000 100000 1", "2000 2000 2000", "1000000000000000000000 1 1", "0 0 0", "-4 8 8", "2 2 2", "x 4 4")
]

CHOICES = [
    *_range(_AUDIT, "--missing-prediction", ("ignore", "")),
    *_range(_SCORES, "--figures", ("jpeg",)),
    *_range(_AUDIT, "--metrics", ("dice", "", "dsc,dsc2")),
    Cause("phantom --mechanism magic", (*_PHANTOM, "--mechanism", "magic"), ("mechanism", "faint")),
    *_range(_MITIGATE, "--backbone", ("resnet", "")),
    *_range(_MITIGATE, "--strategy", ("magic",)),
    *_range(_MITIGATE, "--select", ("best",)),
    *_range(_MITIGATE, "--log", ("paper",)),
    *_range(_MITIGATE, "--recipe", ("weak",)),
    *(
        Cause(f"mitigate --network {name}", (*_MITIGATE, "--network", name), ("network",))
        for name in ("nowhere:make", "json", "json:nothing", ":", "os:system")
    ),
    *_range(_MITIGATE, "--device", ("tpu",)),
    *_range(_RANK, "--export", ("kaggle",)),
    *_range(_RANK, "--by", ("colour",)),
]

_COLUMNS = (
    ("--attributes", "colour", "colour"),
    ("--attributes", "", "attributes"),
    ("--attributes", ",", "attributes"),
    ("--primary", "colour", "colour"),
    ("--stratify", "colour", "colour"),
    ("--adjust", "colour", "colour"),
    ("--subject-column", "colour", "colour"),
    ("--id-column", "colour", "colour"),
    ("--categorical", "colour", "colour"),
    ("--ordered", "colour", "colour"),
    ("--numeric", "colour", "colour"),
    ("--numeric", "site", "site"),
    ("--outcome", "colour", "colour"),
    ("--sheet", "first", "sheet"),
    ("--cases", "nowhere.txt", "nowhere.txt"),
    ("--record", "nowhere.toml", "nowhere.toml"),
)
COLUMNS = [
    Cause(f"audit-scores {option} {value!r}", (*_SCORES, option, value), (says,)) for option, value, says in _COLUMNS
]

UNKNOWN = [
    Cause("no such command", ("adit",), ("audit",)),
    Cause("no such option", (*_SCORES, "--bootstraps", "100"), ("--bootstrap",)),
    Cause("an option without its value", ("audit-scores", "a", "b", "--out"), ("--out",)),
    Cause("one argument too many", ("gate", "{base}/report", "extra"), ("extra",)),
    Cause("one argument too few", ("audit", "{base}/preds"), ("labels are missing",)),
    Cause("compare: one audit", ("compare", "{base}/report"), ("AFTER",)),
    Cause("report: nothing", ("report",), ("AUDIT",)),
    Cause("card: nothing", ("card",), ("AUDIT",)),
    Cause("weights: nothing", ("weights",), ("AUDIT",)),
    Cause("predict: nothing", ("predict",), ("CHECKPOINT",)),
    Cause("verify: nothing", ("verify",), ("Missing argument",)),
    Cause("rank: nothing", ("rank",), ("TEAMS",)),
    Cause("rank-scores: nothing", ("rank-scores",), ("Missing argument",)),
    Cause("doctor: an argument", ("doctor", "now"), ("now",)),
    Cause(
        "compare: names of one",
        ("compare", "{base}/report", "{base}/report", "--names", "a", "--out", "out"),
        ("--names",),
    ),
    Cause("rank --dask where nobody is", (*_RANK, "--dask", "tcp://127.0.0.1:9"), ("--dask",), seconds=60),
]

CAUSES = [*NUMBERS, *SIZES, *CHOICES, *COLUMNS, *UNKNOWN]
