"""What is refused of the models of a run once its plan is known, before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from segfair.errors import ConfigError
from segfair.mitigation.data.augmentation import Strength
from segfair.mitigation.experiment.settings import MitigationSettings
from segfair.mitigation.experiment.studies import PhantomSize, Study, phantom_study
from segfair.mitigation.experiment.trainings import check_strategies, planned_models

SIZE = PhantomSize(size=(16, 16, 16), cases=(8, 6, 6), planted=(2, 2, 2))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    out = tmp_path_factory.mktemp("study")
    return phantom_study(SIZE, config=MitigationSettings(out).complete().audit_config, out=out, seed=0)


@pytest.mark.parametrize(
    ("strategy", "augmentation", "refused"),
    [
        ("augmented", "strong", True),
        ("augmented-balanced", "strong", True),
        ("randomised", "appearance", True),
        ("augmented", "light", False),
        ("augmented", "appearance", False),
        ("randomised", "strong", False),
        ("balanced-tempered", "strong", False),
    ],
)
def test_a_strategy_that_changes_images_as_every_model_does_is_refused(
    strategy: str, augmentation: Strength, refused: bool, study: Study, tmp_path: Path
) -> None:
    settings = MitigationSettings(tmp_path, strategies=(strategy,), augmentation=augmentation).complete()
    models = planned_models(settings)
    if not refused:
        check_strategies(settings, models, [study])
        return
    with pytest.raises(
        ConfigError, match=rf"--strategy {strategy}: images are already changed .*{augmentation}.*leave"
    ):
        check_strategies(settings, models, [study])
