"""The folder of a run: what must not be deleted there, what a run writes before it begins, and whole files."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import tomli_w

from segfair.errors import ConfigError
from segfair.files.placing import write_text
from segfair.files.tables import write_csv
from segfair.mitigation.data.folds import save_folds
from segfair.mitigation.experiment.settings import MitigationSettings
from segfair.mitigation.experiment.studies import Study
from segfair.mitigation.experiment.trainings import Model
from segfair.mitigation.training.trackers import RUNS_FILE

__all__ = ["begin_folder", "refuse_to_delete"]

_PARTS = ("predictions", "audit", "bundle", "comparison")
_FILES = ("checkpoint_last.pt", "checkpoint_best.pt", "history.csv", "weights.csv")


def refuse_to_delete(settings: MitigationSettings) -> None:
    """A folder that holds a training is gone on with, left alone, or overwritten because somebody says so.

    Raises:
        ConfigError: It holds one, and nothing was said.
    """
    held = [folder.name for folder in _trained(settings.out)]
    if held and not settings.resume and not settings.overwrite:
        raise ConfigError(
            f"--out {settings.out}: holds a training of {', '.join(held)}; go on with --resume, name another folder "
            "with --out, or remove what is there with --overwrite"
        )


def begin_folder(settings: MitigationSettings, studies: Sequence[Study], models: Sequence[Model]) -> None:
    """Writes down what is about to be done, and removes what an earlier run has left."""
    _write_skipped(studies[0].skipped, settings.out / "skipped.csv")
    if not settings.resume:
        # All of them, for their split goes: another model beside them would be compared on other cases.
        for folder in {*(model.folder for model in models), *_trained(settings.out)}:
            _clear(folder)
        (settings.out / RUNS_FILE).unlink(missing_ok=True)
    if len(studies) > 1:
        save_folds([study.split for study in studies], settings.out / "splits.json")
    else:
        studies[0].split.save(settings.out / "splits.json")
    write_text(settings.out / "config.toml", tomli_w.dumps(settings.to_dict()))


def _trained(out: Path) -> list[Path]:
    """The folders of models that hold checkpoints, of whatever run."""
    return sorted({out / path.relative_to(out).parts[0] for path in out.rglob("checkpoint_*.pt")})


def _clear(folder: Path) -> None:
    """Removes an earlier run's model, all of it before anything is trained.

    A run that is interrupted and goes on must not take the checkpoints or masks of another for its own.
    """
    for place in (folder, *folder.glob("fold-*"), *folder.glob("seed-*"), *folder.glob("seed-*/fold-*")):
        for name in _PARTS:
            shutil.rmtree(place / name, ignore_errors=True)
        for name in _FILES:
            (place / name).unlink(missing_ok=True)


def _write_skipped(skipped: Mapping[str, str], path: Path) -> None:
    """Every case that nothing is done with, and why; no file without any."""
    path.unlink(missing_ok=True)
    if skipped:
        write_csv([{"case": case, "reason": reason} for case, reason in skipped.items()], path)
