"""Watch PS, FS and the worst subgroup while a MONAI network trains: a handler beside the loop's TensorBoard handler."""

import logging
import tempfile
from pathlib import Path

import torch
from monai.data import CacheDataset, DataLoader
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import TensorBoardStatsHandler, ValidationHandler
from monai.losses import DiceLoss
from monai.networks.nets import UNet
from monai.transforms import AsDiscreted, Compose, EnsureChannelFirstd, LoadImaged, ScaleIntensityd
from monai.utils import set_determinism

from segfair.handlers import FairnessAudit
from segfair.phantom import write_phantom

logging.basicConfig(level=logging.WARNING)
set_determinism(1)

with tempfile.TemporaryDirectory() as folder:
    data = Path(folder) / "cohort"
    write_phantom(data, n_cases=28, size=(32, 32, 16), seed=1)
    labels = sorted((data / "labels").glob("*.nii.gz"))
    items = [{"image": str(data / "images" / label.name), "label": str(label)} for label in labels]
    load = Compose([LoadImaged(["image", "label"]), EnsureChannelFirstd(["image", "label"]), ScaleIntensityd("image")])
    loaders = [DataLoader(CacheDataset(part, load, progress=False), batch_size=4) for part in (items[:8], items[8:])]
    network = UNet(3, 3, 1, channels=(8, 16, 32), strides=(2, 2))

    audit = FairnessAudit(data / "metadata.csv", every=5, min_cases=4, attributes=["age_group", "site"])
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=loaders[1],
        network=network,
        postprocessing=AsDiscreted("pred", threshold=0.0),
        val_handlers=[audit, TensorBoardStatsHandler(log_dir=f"{folder}/events", iteration_log=False)],
    )
    SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=10,
        train_data_loader=loaders[0],
        network=network,
        optimizer=torch.optim.Adam(network.parameters(), 1e-2),
        loss_function=DiceLoss(sigmoid=True),
        train_handlers=[ValidationHandler(interval=1, validator=evaluator)],
    ).run()

    print(audit.result)
    for name, value in evaluator.state.metrics.items():
        print(f"{name}: {value:.3f}")
    print("event files:", len(list(Path(folder, "events").iterdir())))
