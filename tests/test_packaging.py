"""The wheel carries everything: built from the source archive, installed elsewhere, rendering from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.report_fixtures import make_result

ROOT = Path(__file__).resolve().parents[1]

RENDER = """
import sys
from pathlib import Path
import segfair
from segfair.audit.result import AuditResult
assert str(Path(segfair.__file__)).startswith(sys.argv[1]), segfair.__file__
segfair.write_report(AuditResult.load(Path(sys.argv[2])), Path("out"))
print((Path("out") / "report.html").stat().st_size)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from the sdist: what is missing in the one is missing in the other."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = out.glob("*.whl")
    return found


def test_the_wheel_lists_what_it_should_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        f"segfair/{path.relative_to(ROOT / 'src' / 'segfair')}"
        for path in (ROOT / "src" / "segfair").rglob("*")
        if path.is_file() and path.suffix in (".py", ".toml", ".typed", ".json", ".po", ".mo")
    }
    sources.add("segfair/py.typed")
    templates = {
        f"segfair/templates/{path.relative_to(ROOT / 'templates')}"
        for path in (ROOT / "templates").rglob("*")
        if path.is_file()
    }
    assert sources <= names
    assert templates <= names
    extra = {name for name in names - sources - templates if ".dist-info/" not in name}
    assert not extra
    archive = next(wheel.parent.glob("*.tar.gz"))
    with tarfile.open(archive) as files:
        inside = {name.partition("/")[2] for name in files.getnames()}
    assert {"templates/report.html.j2", "LICENSE", "README.md", "constraints.txt"} <= inside
    assert {"SECURITY.md", "constraints-lowest.txt", "tools/smoke.py", "tests/gold/1a/first/audit.json"} <= inside


def test_the_lowest_versions_are_those_that_the_package_asks_for() -> None:
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints-lowest.txt").read_text("utf-8").lower().split()
        if "==" in line
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    for asked in (*project["dependencies"], *extras["pdf"], *extras["dask"], *extras["cloud"]):
        requirement = Requirement(asked)
        (least,) = (part.version for part in requirement.specifier if part.operator == ">=")
        pinned = pins[requirement.name.lower()]
        assert requirement.specifier.contains(pinned), asked
        assert Version(pinned).release[: len(Version(least).release)] == Version(least).release, asked


def test_the_wheel_is_installed_and_tried_by_the_build(wheel: Path, tmp_path: Path) -> None:
    """What `make build` does, with the libraries of this environment in place of fetched ones."""
    environment = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    target = next((environment / "lib").glob("python3*")) / "site-packages"
    zipfile.ZipFile(wheel).extractall(target)
    command = [str(environment / "bin" / "python"), str(ROOT / "tools" / "smoke.py"), str(environment)]
    libraries = {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")}
    done = subprocess.run(command, cwd=tmp_path, env=libraries, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 commands from cohort to page" in done.stdout
    # A segfair from elsewhere is none that was installed.
    elsewhere = subprocess.run(
        [*command[:2], str(tmp_path / "other")], env=libraries, capture_output=True, text=True, check=False
    )
    assert elsewhere.returncode == 1 and "not that of" in elsewhere.stderr


def test_a_fresh_environment_renders_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    make_result(n_cases=40, levels={"sex": ("f", "m")}).save(tmp_path / "audit.json")
    environment = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    target = next((environment / "lib").glob("python3*")) / "site-packages"
    zipfile.ZipFile(wheel).extractall(target)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # The dependencies come from here; a .pth file (an editable install of segfair) is not followed on PYTHONPATH.
    shown = subprocess.run(
        [str(python), "-c", RENDER, str(environment), str(tmp_path / "audit.json")],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert int(shown.stdout) > 10_000
