"""From a MAMA-MIA tree to masks: the rooms of training data, networks and prediction together with the loop."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")
pytest.importorskip("nibabel")

from segfair.attributes.fit import fit_attributes  # noqa: E402
from segfair.files.image_files import find_images  # noqa: E402
from segfair.files.images.masks import read_mask  # noqa: E402
from segfair.mitigation.data.augmentation import Augmentation  # noqa: E402
from segfair.mitigation.data.preparation import prepare  # noqa: E402
from segfair.mitigation.data.preprocessing import Preprocessing  # noqa: E402
from segfair.mitigation.data.sources import read_training_source  # noqa: E402
from segfair.mitigation.data.splits import split_cases  # noqa: E402
from segfair.mitigation.networks.backbones import NetworkConfig, build_network, check_shape  # noqa: E402
from segfair.mitigation.prediction.volumes import WindowInferer, describe, load_model, predict_images  # noqa: E402
from segfair.mitigation.training.loop import fit  # noqa: E402
from segfair.mitigation.training.objectives import case_loss  # noqa: E402
from segfair.mitigation.training.state import FitSettings  # noqa: E402
from segfair.mitigation.training.strategies.kinds import make_strategy  # noqa: E402
from segfair.mitigation.training.strategies.strategy import TrainingContext  # noqa: E402
from segfair.protocol.rules import load_protocol  # noqa: E402


@pytest.mark.parametrize(
    ("config", "augmentation", "epochs", "least_dice"),
    [
        (NetworkConfig.small("segresnet", out_channels=1), Augmentation((32, 32, 32)), 3, 0.3),
        (NetworkConfig.small("unet"), Augmentation((16, 16, 16), samples_per_case=2), 2, 0.0),
    ],
    ids=["segresnet, whole volumes", "unet, patches"],
)
def test_a_model_trained_on_files_predicts_in_their_geometry_as_it_validated(
    config, augmentation, epochs, least_dice, mama_mia, tmp_path
):
    torch.set_num_threads(1)
    protocol = load_protocol("mama-mia")
    preprocessing = Preprocessing()
    source = read_training_source(mama_mia.root)
    prepared = prepare(source.cases, preprocessing, cache=tmp_path / "cache")
    cohort = source.cohort(prepared.cases)
    table = fit_attributes(cohort, protocol=protocol).apply(cohort)
    split = split_cases(table, seed=0, given=source.given_split)
    plan = fit_attributes(source.cohort(split.train), protocol=protocol)
    context = TrainingContext(
        training=plan.apply(source.cohort(split.train)),
        validation=plan.apply(source.cohort(split.validation)),
        loss=case_loss("dice-ce"),
        epochs=epochs,
        volumes_mm3=prepared.volumes_mm3(split.train),
    )
    window = check_shape(config, augmentation.size)
    torch.manual_seed(0)
    result = fit(
        build_network(config),
        make_strategy("erm", context),
        context,
        training=prepared.training(split.train, augmentation),
        validation=prepared.whole(split.validation),
        settings=FitSettings(batch_size=2, lr=3e-3),
        inferer=WindowInferer(window),
        protocol=protocol,
        out=tmp_path / "run",
        description=describe(config, preprocessing, window, bins=plan.to_dict()),
    )
    model = load_model(tmp_path / "run" / "checkpoint_best.pt")
    files = find_images(mama_mia.root / "images")
    chosen = {case: files[case] for case in split.validation}
    report = predict_images(model, chosen, tmp_path / "masks", boxes=source.box_files)
    assert report.failed == {}
    validated = dict(zip(result.validation.case_ids, result.validation.dsc, strict=True))
    for case in source.select(split.validation):
        label = read_mask(case.label).array > 0
        mask = read_mask(tmp_path / "masks" / f"{case.id}.nii.gz").array > 0
        assert mask.shape == label.shape
        dice = 2 * np.count_nonzero(mask & label) / (mask.sum() + label.sum())
        assert dice == pytest.approx(validated[case.id], abs=1e-12), "validated as it is written, on the file's grid"
    assert float(np.mean(list(validated.values()))) > least_dice
