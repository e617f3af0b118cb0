"""The study of a data set as a run makes it, without a plan: what a test leaves open stays as it is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segfair.mitigation.experiment.settings import MitigationSettings
from segfair.mitigation.experiment.studies import Study, data_studies, read_data


def studies_of(data: Path, out: Path, **settings: Any) -> tuple[Study, ...]:
    """One study, or with folds one a fold."""
    chosen = MitigationSettings(out=out, data=data, **settings).complete()
    return data_studies(read_data(chosen), chosen)


def study_of(data: Path, out: Path, **settings: Any) -> Study:
    """The one study."""
    (study,) = studies_of(data, out, **settings)
    return study
