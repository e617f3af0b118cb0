"""What the source never does, whoever edits it: run text, unpickle, open a shell, switch escaping off."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "segfair"
MODULES = sorted(SOURCE.rglob("*.py"))

# Calls that run, unpickle or unpack what they are given, by their full or last name.
RUNS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv", "os.spawnl"}
UNPICKLES = {
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "marshal.loads",
    "joblib.load",
    "shelve.open",
    "read_pickle",
}
UNPACKS = {"extractall", "extract", "unpack_archive"}
PARSES = {"yaml.load", "yaml.unsafe_load", "fromstring", "iterparse", "XML"}
# Modules that nothing may import: what they are for is one of these.
NEVER = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml", "ftplib", "telnetlib", "socketserver"}


def name_of(node: ast.expr) -> str:
    """`a.b.c` of a call; "" where it is none."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    # A method of what a call returns, as `network.to(device).eval()`.
    return ".".join([node.id if isinstance(node, ast.Name) else "?", *reversed(parts)])


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Place, name and node of every call."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", name_of(node.func), node


def options(node: ast.Call) -> dict[str | None, str]:
    return {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}


@pytest.mark.parametrize("names", [RUNS, UNPICKLES, UNPACKS, PARSES], ids=["runs", "unpickles", "unpacks", "parses"])
def test_nothing_runs_or_unpacks_what_it_is_given(names: set[str]) -> None:
    # `re.compile` and `network.eval()` are methods; the built-in functions stand alone.
    known = (
        names if names is RUNS else {*names, *(name.rpartition(".")[2] for name in names)} - {"load", "loads", "open"}
    )
    found = [
        (w, name) for w, name, _ in calls() if name in known or (names is not RUNS and name.rpartition(".")[2] in known)
    ]
    assert found == []


def test_modules_that_unpickle_are_not_imported() -> None:
    found = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [(path.name, name) for name in names if name.partition(".")[0] in NEVER]
    assert found == []


def test_torch_reads_weights_only() -> None:
    loads = [(where, options(node)) for where, name, node in calls() if name == "torch.load"]
    assert len(loads) >= 3
    assert [where for where, given in loads if given.get("weights_only") != "True"] == []


def test_numpy_reads_without_pickle() -> None:
    readers = {"np.load", "numpy.load", "read_array", "np.fromfile", "np.memmap"}
    loads = [(w, n, options(node)) for w, n, node in calls() if n in readers or n.endswith("format.read_array")]
    assert len(loads) >= 2
    assert [where for where, _, given in loads if given.get("allow_pickle") != "False"] == []


def test_processes_are_started_by_a_list_of_words_and_without_a_shell() -> None:
    started = [(where, node) for where, name, node in calls() if name.startswith("subprocess.")]
    assert [where for where, node in started if "shell" in options(node)] == []
    assert {where.partition(":")[0] for where, _ in started} == {"cli/installation.py"}


def test_templates_escape_and_refuse_what_is_not_there() -> None:
    made = [options(node) for _, name, node in calls() if name in ("Environment", "jinja2.Environment")]
    assert [(given["autoescape"], given["undefined"]) for given in made] == [("True", "StrictUndefined")]
    marked = {where.partition(":")[0] for where, name, _ in calls() if name == "Markup"}
    assert marked == {"report/files.py"}, "what is not escaped is decided in one place"
    # A drawing is made by an XML writer, which escapes; nothing else in a template is taken as it is.
    for path in sorted((ROOT / "templates").glob("*.j2")):
        safe = re.findall(r"\{\{[^}]*\|\s*safe[^}]*\}\}", path.read_text("utf-8"))
        assert all(re.search(r"svg|narrow|drawing|picture", text) for text in safe), (path.name, safe)


def test_the_script_of_pages_makes_no_markup_of_text() -> None:
    for path in sorted((ROOT / "templates" / "script").glob("*.js")):
        text = path.read_text("utf-8")
        found = re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|document\.write|\beval\(|new Function|setTimeout\(\s*[\"']",
            text,
        )
        assert found == [], path.name


def test_every_exception_from_the_scanner_names_its_rule_and_its_reason() -> None:
    for folder in ("src", "tools", "website"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            lines = path.read_text("utf-8").splitlines()
            for before, line in zip(["", *lines], lines, strict=False):
                if "# nosec" in line:
                    assert re.search(r"# nosec B\d+( B\d+)*$", line), (path.name, line)
                    assert before.strip().startswith("#"), (path.name, line, "a comment above says why")
