"""What a process pays before it does anything: the modules that each command loads, and no others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import segfair

WATCHED = (
    "PIL", "SimpleITK", "cattrs", "dask", "divexplorer", "isal", "ignite", "jinja2", "lightning", "matplotlib", "monai", "nibabel", "numba", "numpy",
    "openpyxl", "pandas", "pyarrow", "rich", "scipy", "scipy.stats", "sklearn", "tomli_w", "torch", "zlib_ng",
)  # fmt: skip
"""What the package depends on and what takes long to import. `openpyxl` and the like come with a table of their kind."""

PROBE = f"""
import sys
from segfair.cli import main
sys.argv = ["segfair", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    code = end.code or 0
print()
print(code)
print(*(name for name in {WATCHED} if name in sys.modules))
print(*sorted({{name.split(".")[1] for name in sys.modules if name.startswith("segfair.")}}))
"""

COMMAND = {"cli", "errors"}
RESULT = COMMAND | {
    "attributes", "audit", "cases", "fairness", "files", "intake", "protocol", "scoring", "stats", "subgroups", "trees",
}  # fmt: skip
READ = {"numpy", "scipy", "cattrs"}
# Where pydicom is installed, nibabel imports it, and that Pillow. To hide it would take it from a caller's nibabel, too.
NIBABEL = {"nibabel", "PIL"} if find_spec("pydicom") else {"nibabel"}
READ_MASKS = NIBABEL | {"zlib_ng"}  # small ones: the compiler is not loaded
WRITTEN_MASKS = NIBABEL | {"isal"}

# Command -> third parties, rooms.
LOADED = {
    "--version": (set(), COMMAND),
    "--help": ({"rich"}, COMMAND),
    "audit --help": ({"rich"}, COMMAND),
    "mitigate --help": ({"rich"}, COMMAND),
    "audit --help-all": ({"rich"}, COMMAND),
    "doctor": (set(), COMMAND),
    "protocol default": ({"cattrs"}, COMMAND | {"protocol", "trees"}),
    "verify {report}": ({"numpy"}, COMMAND | {"cases", "files"}),
    "card {report}/audit.json": (READ, RESULT | {"handover"}),
    "dossier {report} --out {out}/dossier": (READ | {"jinja2"}, RESULT | {"handover", "report"}),
    "gate {report}/audit.json --gate FS>=0.1": (READ, RESULT),
    "power {cohort}/metadata.csv": (READ, RESULT - {"intake"}),
    "weights {report}/audit.json --metadata {cohort}/metadata.csv --id-column patient_id --out {out}/weights.csv": (
        READ | {"scipy.stats"},
        (RESULT | {"mitigation"}) - {"scoring"},
    ),
    "report {report}/audit.json --out {out}/report": (READ | {"jinja2"}, RESULT | {"handover", "report"}),
    "report {report}/audit.json --out {out}/report --figures svg": (
        READ | {"jinja2", "matplotlib", "PIL"},
        RESULT | {"handover", "report"},
    ),
    "compare {report} {report} --names old,new --out {out}/comparison": (
        READ | {"jinja2"},
        RESULT | {"compare", "rank", "report"},  # a side may be a team of a ranking
    ),
    "audit-scores {report}/cases.csv {cohort}/metadata.csv --out {out}/scores": (
        READ | {"jinja2"},
        RESULT | {"handover", "report"},
    ),
    "rank-scores {teams} {cohort}/metadata.csv --by dsc --out {out}/ranking": (
        READ | {"jinja2"},
        RESULT | {"gallery", "rank", "report"},  # the gallery says which cases are the worst, without pictures
    ),
    "rank {submissions} {cohort}/labels {cohort}/metadata.csv --workers 1 --out {out}/ranked": (
        READ | READ_MASKS | {"jinja2"},
        RESULT | {"gallery", "rank", "report"},
    ),
    "audit {cohort}/preds {cohort}/labels {cohort}/metadata.csv --workers 1 --out {out}/audit": (
        READ | READ_MASKS | {"jinja2"},
        RESULT | {"gallery", "handover", "report"},
    ),
    "phantom {out}/phantom --cases 2 --size 24 24 16": (
        {"numpy", "scipy"} | WRITTEN_MASKS,
        COMMAND | {"cases", "files", "phantom"},
    ),
}


@pytest.fixture(scope="module")
def places(phantom_cohort: Path, run_cli, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where commands find what they read, and where they write."""
    out = tmp_path_factory.mktemp("startup")
    masks = [phantom_cohort / name for name in ("preds", "labels", "metadata.csv")]
    settings = ("--permutations", 19, "--bootstrap", 100, "--workers", 1)
    assert run_cli("audit", *masks, "--out", out / "made", *settings).returncode == 0
    (out / "teams").mkdir()
    for team in ("first", "second"):
        (out / "teams" / f"{team}.csv").write_bytes((out / "made" / "cases.csv").read_bytes())
        shutil.copytree(phantom_cohort / "preds", out / "submissions" / team)
    return {
        "cohort": phantom_cohort, "submissions": out / "submissions", "report": out / "made", "teams": out / "teams", "out": out,
    }  # fmt: skip


@pytest.mark.parametrize("command", LOADED)
def test_a_command_loads_what_it_uses(command: str, places: dict[str, Path]) -> None:
    words = [word.format(**places) for word in command.split()]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    *_, code, parties, rooms = done.stdout.splitlines()
    assert code == "0", done.stderr
    wanted_parties, wanted_rooms = LOADED[command]
    assert set(parties.split()) == wanted_parties
    rooms_of_folders = {path.name for path in Path(segfair.__file__).parent.iterdir()} | {"cases", "errors", "trees"}
    assert set(rooms.split()) & rooms_of_folders == wanted_rooms


def test_light_imports_stay_light() -> None:
    """The package alone loads nothing but itself, and case weights need no torch."""
    code = (
        "import sys; before = set(sys.modules); import segfair;"
        "print(sorted(name for name in set(sys.modules) - before if name.partition('.')[0] not in"
        " sys.stdlib_module_names));"
        "import segfair.mitigation.weighting.weights;"
        "print([name for name in ('torch', 'monai', 'matplotlib', 'divexplorer') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['segfair']", "[]"]


def test_a_call_from_python_loads_what_it_uses(phantom_cohort: Path) -> None:
    """Neither data frames nor axes before somebody asks for them."""
    code = f"""
import sys
import segfair as sf
watched = {WATCHED!r}
def loaded(): print(*(name for name in watched if name in sys.modules))
sf.audit, sf.audit_scores, sf.compare, sf.rank, sf.score
loaded()
result = sf.audit(*sys.argv[1:], permutations=19, bootstrap=100)
repr(result)
loaded()
result._repr_html_()
loaded()
result.findings
loaded()
"""
    paths = [str(phantom_cohort / name) for name in ("preds", "labels", "metadata.csv")]
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True)
    named, audited, shown, tabulated = (set(line.split()) for line in done.stdout.splitlines())
    assert named == READ
    assert audited == READ | READ_MASKS
    assert shown == audited | {"jinja2"}
    assert "matplotlib" not in tabulated
    assert "pandas" in tabulated


def test_rooms_that_are_loaded_leave_the_functions_be() -> None:
    code = (
        "import segfair, segfair.audit.procedure, segfair.compare.procedure, segfair.rank.procedure;"
        "from segfair.audit import procedure; from segfair import audit;"
        "print(type(segfair.audit).__name__, type(segfair.compare).__name__, type(segfair.rank).__name__,"
        " audit is segfair.audit, procedure.__name__, 'audit' in dir(segfair))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["function", "function", "function", "True", "segfair.audit.procedure", "True"]


def test_every_public_name_exists_and_is_listed() -> None:
    for name in segfair.__all__:
        assert getattr(segfair, name) is not None, name
    assert set(segfair.__all__) <= set(dir(segfair))
    assert sorted(segfair.__all__) == list(segfair.__all__)
