"""A checkpoint as a MONAI bundle, which predicts without segfair. Writes the bundle and never runs it.

    bundle/configs/metadata.json    what the network is, takes and gives
    bundle/configs/inference.json   the whole way from a folder of images to masks
    bundle/models/model.pt          weights
    bundle/docs/README.md           how to run it

References:
    MONAI bundle specification, https://docs.monai.io/en/stable/mb_specification.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch

from segfair.errors import InputError, in_words
from segfair.files.placing import placed_whole, write_json, write_text
from segfair.mitigation.data.preprocessing import Intensities, Preprocessing
from segfair.mitigation.prediction.volumes import Model, load_model

__all__ = ["export_bundle"]

_README = """# {title}

A {network} that segments {phases}-phase 3-D images; trained with segfair.

    python -m monai.bundle run --config_file configs/inference.json \\
        --bundle_root . --dataset_dir IMAGES --output_dir MASKS

IMAGES holds one folder a case with one NIfTI file a phase, in the order of their names, or one four-dimensional file
a case. Each mask is written on the grid of its image and named like the image's first file. The first {phases} phases
are used{resampling}.

`python -m monai.bundle run` needs the package fire; from Python, `monai.bundle.run(...)` does not.
"""


def export_bundle(
    checkpoint: Path, folder: Path, *, title: str = "segfair model", own_network: str | None = None
) -> Path:
    """Writes the bundle of a checkpoint's network; files of an earlier bundle are replaced.

    Args:
        checkpoint: A checkpoint of a training.
        folder: The bundle's folder, made if need be.
        title: What the bundle is called.
        own_network: See `load_model`; whoever runs the bundle needs the module, too.

    Returns:
        The folder.

    Raises:
        InputError: The checkpoint is unusable, or the folder cannot be written.
    """
    model = load_model(checkpoint, own_network=own_network)
    try:
        for name in ("configs", "models", "docs"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        weights = folder / "models" / "model.pt"
        # Into a stream: the name of a file would be part of what is written.
        with placed_whole(weights) as unfinished, unfinished.open("wb") as stream:
            torch.save(model.network.state_dict(), stream)
        write_json(folder / "configs" / "metadata.json", _metadata(model, title))
        write_json(folder / "configs" / "inference.json", _inference(model))
        spacing = model.preprocessing.spacing_mm
        text = _README.format(
            title=title,
            network=model.config.target,
            phases=model.preprocessing.phases,
            resampling=f", resampled to {' x '.join(f'{side:g}' for side in spacing)} mm" if spacing else "",
        )
        write_text(folder / "docs" / "README.md", text)
    except OSError as error:
        raise InputError(f"bundle {folder}: cannot be written ({in_words(error)})") from error
    return folder


def _metadata(model: Model, title: str) -> dict[str, Any]:
    phases = model.preprocessing.phases
    return {
        "version": "1.0.0",
        "changelog": {"1.0.0": "exported by segfair"},
        "monai_version": str(monai.__version__),
        "pytorch_version": str(torch.__version__),
        "numpy_version": np.__version__,
        "required_packages_version": {
            "nibabel": "5.2",
            **({"einops": "0.7"} if model.config.name == "swinunetr" else {}),
        },
        "name": title,
        "task": "segmentation of lesions",
        "description": f"{model.config.target} for {phases}-phase {model.config.dims}-D images",
        "authors": "see the training",
        "copyright": "see the training",
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "magnitude",
                    "modality": "MR",
                    "num_channels": phases,
                    "spatial_shape": list(model.window),
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": True,
                    "channel_def": {str(phase): f"phase {phase}" for phase in range(phases)},
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "segmentation",
                    "num_channels": model.config.out_channels,
                    "spatial_shape": list(model.window),
                    "dtype": "float32",
                    "value_range": [0, 1],
                    "is_patch_data": True,
                    "channel_def": _channels(model),
                }
            },
        },
    }


def _channels(model: Model) -> dict[str, str]:
    """What each channel of the output is called."""
    regions = model.preprocessing.regions
    if model.config.out_channels == len(regions):
        return {str(k): region.name or "lesion" for k, region in enumerate(regions.each)}
    return {str(k): "background" if k == 0 else f"class {k}" for k in range(model.config.out_channels)}


def _written(model: Model) -> list[int]:
    """The value of each region in a label map, in the order in which they are written."""
    return [region.written for region in model.preprocessing.regions.each]


def _inference(model: Model) -> dict[str, Any]:
    """The steps of `preprocessing.load_volume` and `predict.predict_images` in MONAI's configuration language."""
    settings = model.preprocessing
    return {
        "imports": [
            "$import functools",
            "$import pathlib",
            "$import numpy as np",
            "$import torch",
            "$import monai",
            "$from monai.data import MetaTensor",
            "$from monai.transforms import SpatialResample",
        ],
        "bundle_root": ".",
        "dataset_dir": "images",
        "output_dir": "masks",
        "phases": settings.phases,
        "written": _written(model),
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "folders": "$[f for f in sorted(pathlib.Path(@dataset_dir).iterdir()) if f.is_dir()]",
        "files": "$[str(f) for f in sorted(pathlib.Path(@dataset_dir).glob('*.nii*'))]",
        "cases": "$[{'image': [str(p) for p in sorted(f.glob('*.nii*'))][:@phases]} for f in @folders] "
        "or [{'image': f} for f in @files]",
        **(_RESAMPLING | {"spacing": list(settings.spacing_mm)} if settings.spacing_mm is not None else {}),
        "network_def": f"${model.config.expression}"
        if model.config.expression
        else {"_target_": model.config.target, **model.config.arguments},
        "network": "$@network_def.to(@device).eval()",
        "preprocessing": {"_target_": "Compose", "transforms": _forward(model.preprocessing)},
        "dataset": {"_target_": "Dataset", "data": "@cases", "transform": "@preprocessing"},
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": list(model.window),
            "sw_batch_size": 1,
            "overlap": model.inferer.overlap,
            "mode": "gaussian",
        },
        "postprocessing": {"_target_": "Compose", "transforms": _backward(model)},
        "logits": "$lambda image: @inferer(image.as_tensor()[None].to(@device), @network)[0].cpu()",
        "predict": "$torch.no_grad()(lambda item: @postprocessing("
        "{**item, 'pred': MetaTensor(@logits(item['image']), meta=item['image'].meta)}))",
        "initialize": [
            "$@network.load_state_dict(torch.load(@bundle_root + '/models/model.pt', map_location=@device, "
            "weights_only=True))"
        ],
        "run": ["$[None for item in @dataset if @predict(item) is None]"],
    }


def _forward(settings: Preprocessing) -> list[dict[str, Any]]:
    """From an image file to what the network sees."""
    steps: list[dict[str, Any]] = [
        {"_target_": "LoadImaged", "keys": "image", "ensure_channel_first": True, "image_only": True},
        # A four-dimensional file may hold more phases; voxels that are not finite count as 0.
        _apply("image", "$lambda x: torch.nan_to_num(x[:@phases], 0.0, 0.0, 0.0)"),
        {"_target_": "CopyItemsd", "keys": "image", "names": "source"},
        {
            "_target_": "Orientationd",
            "keys": "image",
            "axcodes": "RAS",
            "labels": [["L", "R"], ["P", "A"], ["I", "S"]],
        },
    ]
    if settings.spacing_mm is not None:
        steps.append(_apply("image", "@resample"))
    if settings.intensities is not None:
        return [*steps, _apply("image", _standardised(settings.intensities))]
    steps += [
        {"_target_": "CropForegroundd", "keys": "image", "source_key": "image", "select_fn": "$lambda x: x != 0"},
        {
            "_target_": "NormalizeIntensityd",
            "keys": "image",
            "nonzero": True,
            "channel_wise": settings.normalise == "phase",
        },
    ]
    return steps


def _standardised(intensities: Intensities) -> str:
    """`Intensities.standardise` in MONAI's configuration language."""
    low, high, mean, spread = (
        f"torch.tensor({list(values)}).reshape(-1, 1, 1, 1)"
        for values in (intensities.low, intensities.high, intensities.mean, intensities.spread)
    )
    return f"$lambda x: (torch.minimum(torch.maximum(x, {low}), {high}) - {mean}) / {spread}"


def _backward(model: Model) -> list[dict[str, Any]]:
    """From logits on the network's grid to a label map on the grid of the image file, as `data.outputs` has it."""
    a_channel_each = model.config.out_channels == len(model.preprocessing.regions)
    against_background = "$lambda x: torch.sigmoid(x[1:].amax(0, keepdim=True) - x[:1])"
    probability = "$torch.sigmoid" if a_channel_each else against_background
    return [
        _apply("pred", probability),
        {
            "_target_": "ResampleToMatchd",
            "keys": "pred",
            "key_dst": "source",
            "mode": "bilinear",
            "padding_mode": "zeros",
        },
        # Regions are written over each other in their order.
        _apply(
            "pred",
            "$lambda x: functools.reduce(lambda found, region: torch.where(region[0] > 0.5, region[1], found), "
            "zip(x, @written), torch.zeros_like(x[0]))[None].to(torch.int32)",
        ),
        {
            "_target_": "SaveImaged",
            "keys": "pred",
            "output_dir": "@output_dir",
            "output_postfix": "",
            "separate_folder": False,
            "output_dtype": "$np.uint8" if all(0 <= value < 256 for value in _written(model)) else "$np.int32",
            "print_log": False,
        },
    ]


# The grid of `preprocessing`: another spacing in the same box, both centres in one place.
_RESAMPLING = {
    "steps": "$lambda x: np.array(@spacing) / np.linalg.norm(np.asarray(x.affine)[:3, :3], axis=0)",
    "shape": "$lambda x: np.maximum(1, np.rint(np.array(x.shape[1:]) / @steps(x))).astype(int)",
    "first": "$lambda x: (np.array(x.shape[1:]) - 1) / 2 - @steps(x) * (@shape(x) - 1) / 2",
    "change": "$lambda x: np.vstack([np.column_stack([np.diag(@steps(x)), @first(x)]), [0, 0, 0, 1]])",
    "resample": "$lambda x: SpatialResample(mode='bilinear', padding_mode='border', align_corners=False)("
    "x, dst_affine=torch.as_tensor(np.matmul(np.asarray(x.affine), @change(x))), spatial_size=@shape(x).tolist())",
}


def _apply(key: str, function: str) -> dict[str, Any]:
    return {"_target_": "Lambdad", "keys": key, "func": function, "track_meta": False}
