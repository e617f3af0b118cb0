"""What is handed over, as a user asks for it: verify, records, model cards, shared folders, pseudonyms, figures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

QUICK = ("--permutations", "199", "--bootstrap", "100", "--workers", "1", "--attributes", "age_group,menopause")


@pytest.fixture(scope="module")
def report(call_cli, phantom_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything beside it; the folder above holds the key and the shared folder."""
    top = tmp_path_factory.mktemp("handover")
    (top / "study.toml").write_text('model = "Net <b>"\napprover = "A. Approver"\n')
    inputs = [phantom_cohort / name for name in ("preds", "labels", "metadata.csv")]
    done = call_cli(
        "audit", *inputs, *QUICK, "--out", top / "out", "--share", top / "share",
        "--record", top / "study.toml", "--figures", "svg",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert str(top / "share") in done.stdout
    return top / "out"


def inputs_of(cohort: Path) -> list[Path]:
    return [cohort / name for name in ("preds", "labels", "metadata.csv")]


def test_verify_finds_nothing_where_nothing_changed(call_cli, report: Path, phantom_cohort: Path) -> None:
    done = call_cli("verify", report, "--inputs", *inputs_of(phantom_cohort))
    assert done.returncode == 0, done.stdout
    assert "nothing changed" in done.stdout


def test_verify_names_foreign_files_and_exits_with_nothing_changed(call_cli, report: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(report, tmp_path / "copy"))
    (copy / "notes.txt").write_text("mine")
    done = call_cli("verify", copy)
    assert done.returncode == 0, done.stdout
    assert "not covered by the manifest, and not written by segfair: notes.txt" in done.stdout.splitlines()


def test_verify_names_a_flipped_byte(call_cli, report: Path, phantom_cohort: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(report, tmp_path / "copy"))
    data = bytearray((copy / "cases.csv").read_bytes())
    data[100] ^= 1
    (copy / "cases.csv").write_bytes(data)
    labels = Path(shutil.copytree(phantom_cohort / "labels", tmp_path / "labels"))
    victim = sorted(labels.iterdir())[5]
    mask = bytearray(victim.read_bytes())
    mask[-1] ^= 1
    victim.write_bytes(mask)
    done = call_cli("verify", copy, "--inputs", phantom_cohort / "preds", labels, phantom_cohort / "metadata.csv")
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["output cases.csv: changed", f"input labels {victim.name}: changed"]


@pytest.fixture(scope="module")
def pictured(call_cli, phantom_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with images and second labels, both copies that a test may change; the report lies in `out`."""
    top = tmp_path_factory.mktemp("pictured")
    shutil.copytree(phantom_cohort / "images", top / "images")
    shutil.copytree(phantom_cohort / "labels", top / "labels2")
    done = call_cli(
        "audit", *inputs_of(phantom_cohort), *QUICK, "--out", top / "out",
        "--images", top / "images", "--labels2", top / "labels2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return top


def test_images_and_second_labels_have_hashes(pictured: Path) -> None:
    inputs = json.loads((pictured / "out" / "manifest.json").read_text("utf-8"))["inputs"]
    for role in ("images", "labels2"):
        files = {path.name for path in (pictured / role).iterdir()}
        assert files
        assert set(inputs[role]["files"]) == files, role


@pytest.mark.parametrize("role", ["images", "labels2"])
def test_verify_checks_further_inputs(call_cli, pictured: Path, tmp_path: Path, role: str) -> None:
    done = call_cli("verify", pictured / "out", "--input", f"{role}={pictured / role}")
    assert done.returncode == 0, done.stdout
    told = done.stdout.splitlines()[0].removeprefix("not checked: ").partition(" (")[0]
    assert set(told.split(", ")) == {"predictions", "labels", "metadata", "images", "labels2"} - {role}
    changed = Path(shutil.copytree(pictured / role, tmp_path / role))
    victim, gone = sorted(changed.iterdir())[3:5]
    flipped = bytearray(victim.read_bytes())
    flipped[-1] ^= 1
    victim.write_bytes(flipped)
    gone.unlink()
    done = call_cli("verify", pictured / "out", "--input", f"{role}={changed}")
    assert done.returncode == 1
    assert set(done.stdout.splitlines()) == {
        f"input {role} {victim.name}: changed",
        f"input {role} {gone.name}: missing",
    }


def test_a_role_without_a_path_is_refused(call_cli, pictured: Path) -> None:
    done = call_cli("verify", pictured / "out", "--input", "images")
    assert done.returncode == 2
    assert "ROLE=PATH" in done.stderr


def test_a_report_drawn_again_does_not_vouch_for_inputs_that_changed_since(
    call_cli, phantom_cohort: Path, tmp_path: Path
) -> None:
    cohort = Path(shutil.copytree(phantom_cohort, tmp_path / "cohort"))
    done = call_cli("audit", *inputs_of(cohort), *QUICK, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    victim = sorted((cohort / "preds").iterdir())[7]
    victim.write_bytes(victim.read_bytes() + b"\0")
    assert call_cli("report", tmp_path / "out" / "audit.json", "--out", tmp_path / "again").returncode == 0
    done = call_cli("verify", tmp_path / "again", "--inputs", *inputs_of(cohort))
    assert done.returncode == 1
    assert done.stdout.splitlines() == [f"input predictions {victim.name}: changed"]
    # An audit.json that lost its manifest tells nothing about the inputs.
    (tmp_path / "out" / "manifest.json").unlink()
    assert call_cli("report", tmp_path / "out" / "audit.json", "--out", tmp_path / "alone").returncode == 0
    done = call_cli("verify", tmp_path / "alone", "--inputs", *inputs_of(cohort))
    assert done.returncode == 1
    assert "input labels: the manifest has no hashes of it" in done.stdout.splitlines()


def test_a_report_drawn_again_keeps_the_audits_command_and_date(call_cli, report: Path, tmp_path: Path) -> None:
    origin = json.loads((report / "manifest.json").read_text("utf-8"))
    assert "redrawn" not in origin
    assert origin["command"].startswith("segfair audit ")
    manifest = {**origin, "written": "2001-02-03T04:05:06+00:00"}
    copy = Path(shutil.copytree(report, tmp_path / "copy"))
    (copy / "manifest.json").write_text(json.dumps(manifest))
    source = copy
    for name in ("again", "twice"):
        done = call_cli(
            "report", source / "audit.json", "--out", tmp_path / name, "--share", tmp_path / f"{name}-share"
        )
        assert done.returncode == 0, done.stderr
        found = json.loads((tmp_path / name / "manifest.json").read_text("utf-8"))
        assert (found["command"], found["written"]) == (origin["command"], manifest["written"])
        assert found["redrawn"]["command"].startswith("segfair report ")
        assert found["redrawn"]["written"] > origin["written"][:10]
        page = (tmp_path / name / "report.html").read_text("utf-8")
        assert "written 2001-02-03 04:05 UTC" in page
        assert page.index("segfair audit ") < page.index("Drawn again ") < page.index("segfair report ")
        shared = json.loads((tmp_path / f"{name}-share" / "manifest.json").read_text("utf-8"))
        assert (shared["command"], shared["written"]) == ("", manifest["written"])
        assert shared["redrawn"]["command"] == ""
        source = tmp_path / name
    (copy / "manifest.json").unlink()
    done = call_cli("report", copy / "audit.json", "--out", tmp_path / "alone")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "alone" / "manifest.json").read_text("utf-8"))
    assert (found["command"], found["written"]) == ("", None)
    assert "written at an unknown time" in (tmp_path / "alone" / "report.html").read_text("utf-8")


def test_verify_of_no_report_is_an_error(call_cli, tmp_path: Path) -> None:
    done = call_cli("verify", tmp_path)
    assert done.returncode == 2
    assert "manifest.json" in done.stderr


def test_record_card_and_figures_are_there_and_redrawn(call_cli, report: Path, tmp_path: Path) -> None:
    assert json.loads((report / "audit.json").read_text("utf-8"))["record"]["model"] == "Net <b>"
    card = (report / "model-card.md").read_text("utf-8")
    assert call_cli("card", report / "audit.json").stdout == card
    assert (report / "figures" / "scores.svg").is_file()
    done = call_cli("report", report / "audit.json", "--out", tmp_path / "again", "--share", tmp_path / "share")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again" / "model-card.md").read_text("utf-8") == card
    assert "A. Approver" in (tmp_path / "again" / "report.html").read_text("utf-8")
    assert not (tmp_path / "again" / "figures").exists()
    assert json.loads((tmp_path / "share" / "audit.json").read_text("utf-8"))["shared"] is True


def test_a_shared_folder_of_a_real_audit_tells_no_id_path_or_user(report: Path, phantom_cohort: Path) -> None:
    ids = [path.name.removesuffix(".nii.gz") for path in (phantom_cohort / "labels").iterdir()]
    files = [path for path in (report.parent / "share").rglob("*") if path.is_file()]
    assert {path.name for path in files} == {
        "report.html", "summary.html", "audit.json", "subgroups.csv", "manifest.json", "model-card.md"
    }  # fmt: skip
    for file in files:
        text = file.read_text("utf-8")
        for secret in (*ids, str(phantom_cohort), str(report.parent), "Approver"):
            assert secret not in text, (file.name, secret)


def test_pseudonymised_audits_compare(call_cli, phantom_cohort: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        done = call_cli(
            "audit", *inputs_of(phantom_cohort), *QUICK, "--out", tmp_path / name, "--pseudonymise", tmp_path / "key"
        )
        assert done.returncode == 0, done.stderr
    ids = [path.name.removesuffix(".nii.gz") for path in (phantom_cohort / "labels").iterdir()]
    for file in (tmp_path / "a").iterdir():
        text = file.read_text("utf-8")
        assert not [secret for secret in (*ids, str(phantom_cohort), str(tmp_path)) if secret in text], file.name
    done = call_cli("compare", *(tmp_path / name / "audit.json" for name in "ab"), "--out", tmp_path / "c")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--record", "{tmp}/wrong.toml"], ["wrong.toml", "not TOML"]),
        (["--record", "{tmp}/gone.toml"], ["gone.toml"]),
        (["--pseudonymise", "{tmp}/out/key"], ["lies inside"]),
        (["--share", "{tmp}/out/share"], ["--share"]),
        (["--figures", "gif"], ["figures", "svg"]),
    ],
)
def test_wrong_wishes_are_refused_before_anything_is_scored(
    call_cli, phantom_cohort: Path, tmp_path: Path, options: list[str], words: list[str]
) -> None:
    (tmp_path / "wrong.toml").write_text("model = \n")
    options = [option.format(tmp=tmp_path) for option in options]
    done = call_cli("audit", *inputs_of(phantom_cohort), "--out", tmp_path / "out", *options)
    assert done.returncode == 2
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_dossier_is_written_from_a_folder(call_cli, report: Path, tmp_path: Path) -> None:
    done = call_cli("dossier", report, "--out", tmp_path / "dossier", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert sum(told["counts"]["claim-2024"].values()) == 44
    assert sorted(Path(path).name for path in told["files"].values()) == ["dossier.csv", "dossier.html", "dossier.json"]
    assert all(Path(path).is_file() for path in told["files"].values())
    lines = call_cli("dossier", report.parent / "share", "--out", tmp_path / "shared").stdout.splitlines()
    assert lines[-1] == f"dossier: {tmp_path / 'shared' / 'dossier.html'}"
    assert "A. Approver" not in (tmp_path / "shared" / "dossier.html").read_text("utf-8")
