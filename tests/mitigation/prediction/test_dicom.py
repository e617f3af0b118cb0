"""Series in, DICOM-SEG out: what highdicom reads again, on the series' grid, and what the audit makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")
highdicom = pytest.importorskip("highdicom")

from pydicom.uid import generate_uid  # noqa: E402
from tests.dicom_fixtures import AXIAL, OBLIQUE, ball, edited, write_series  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from segfair.cases import DicomMask  # noqa: E402
from segfair.cli import app  # noqa: E402
from segfair.errors import InputError  # noqa: E402
from segfair.files.dicom.images import read_series  # noqa: E402
from segfair.files.dicom.index import index_dicom  # noqa: E402
from segfair.files.dicom.writing import write_segmentation  # noqa: E402
from segfair.files.images.masks import read_mask  # noqa: E402
from segfair.mitigation.data.preprocessing import Preprocessing  # noqa: E402
from segfair.mitigation.networks.backbones import NetworkConfig, build_network  # noqa: E402
from segfair.mitigation.networks.checkpoints import save_checkpoint  # noqa: E402
from segfair.mitigation.prediction.dicom import find_series, predict_series  # noqa: E402
from segfair.mitigation.prediction.volumes import Model, describe  # noqa: E402

SHAPE = (36, 34, 20)


class Bright(torch.nn.Module):
    """Says lesion where a voxel is more than half as bright as the brightest."""

    def forward(self, image):
        return torch.cat([torch.zeros_like(image), 8 * (image / image.amax() - 0.5)], dim=1)


def model() -> Model:
    return Model(Bright(), NetworkConfig.small("unet", in_channels=1), Preprocessing(phases=1), (32, 32, 32))


def lesion_series(folder: Path, patient: str, orientation, **more):
    lesion = ball(SHAPE, (15, 18, 9), 5.5)
    noise = np.random.default_rng(0).normal(0, 5, SHAPE)
    series = write_series(
        folder,
        patient=patient,
        shape=SHAPE,
        spacing=(1.0, 1.0, 1.0),
        orientation=orientation,
        voxels=np.round(noise + 400 * lesion),
        **more,
    )
    return series, lesion


@pytest.mark.parametrize("orientation", [AXIAL, OBLIQUE], ids=["axial", "oblique"])
def test_a_series_is_the_volume_that_its_files_hold(tmp_path, orientation):
    voxels = np.random.default_rng(1).integers(-1000, 1000, (16, 14, 8))
    series = write_series(tmp_path, orientation=orientation, voxels=voxels)
    found = read_series(index_dicom([tmp_path]).series[series.uid])
    assert (found.image.array == voxels).all()
    np.testing.assert_allclose(found.image.affine, series.affine, atol=1e-12)
    assert [source.InstanceNumber for source in found.sources] == list(range(1, 9))


def test_an_enhanced_image_of_many_frames_is_a_series_of_one_file(tmp_path):
    voxels = np.random.default_rng(1).integers(-1000, 1000, (16, 14, 8))
    slices = write_series(tmp_path / "CT", orientation=OBLIQUE, voxels=voxels)
    made = highdicom.legacy.LegacyConvertedEnhancedCTImage(
        [slices.datasets[at] for at in (3, 1, 0, 2, 7, 5, 4, 6)],
        series_instance_uid=generate_uid(),
        series_number=5,
        sop_instance_uid=generate_uid(),
        instance_number=1,
    )
    (tmp_path / "enhanced").mkdir()
    made.save_as(tmp_path / "enhanced" / "a")
    (series,) = index_dicom([tmp_path / "enhanced"]).series.values()
    found = read_series(series)
    assert (found.image.array == voxels).all()
    np.testing.assert_allclose(found.image.affine, slices.affine, atol=1e-12)
    mask = ball(slices.shape, (7, 6, 3), 2)
    write_segmentation(tmp_path / "seg.dcm", {"lesion": mask}, found, version="1")
    meant = DicomMask(grid=series.grid()[0])
    assert (read_mask(tmp_path / "seg.dcm", dicom=meant).array == mask).all()


def test_a_series_that_is_no_whole_volume_is_refused(tmp_path):
    series = write_series(tmp_path / "gap", leave_out=[3])
    with pytest.raises(InputError, match="1 of its slices are missing"):
        read_series(index_dicom([tmp_path / "gap"]).series[series.uid])
    twice = write_series(tmp_path / "phases")
    for path in (tmp_path / "phases").iterdir():
        edited(path, lambda ds: setattr(ds, "ImagePositionPatient", [0, 0, float(ds.InstanceNumber // 2)]))
    with pytest.raises(InputError, match="several images of one slice"):
        read_series(index_dicom([tmp_path / "phases"]).series[twice.uid])


def test_masks_are_segmentations_that_highdicom_reads(tmp_path):
    for patient, orientation in (("P1", AXIAL), ("P2", OBLIQUE)):
        _, lesion = lesion_series(tmp_path / "CT" / patient, patient, orientation)
    found, _ = find_series(tmp_path / "CT")
    report = predict_series(model(), found, tmp_path / "out")
    assert report.written == ("P1", "P2")
    for patient in ("P1", "P2"):
        read = highdicom.seg.segread(tmp_path / "out" / f"{patient}.dcm")
        image = found[patient]
        assert (read.PatientID, read.StudyInstanceUID) == (patient, image.study)
        assert read.ReferencedSeriesSequence[0].SeriesInstanceUID == image.uid
        assert read.get_segment_description(1).segment_label == "lesion"
        assert read.get_segment_description(1).algorithm_type.value == "AUTOMATIC"
        volume = read.get_volume(combine_segments=True)
        assert volume.array.sum() == pytest.approx(lesion.sum(), rel=0.02)
    again = predict_series(model(), found, tmp_path / "out")
    assert (again.written, again.existing) == ((), ("P1", "P2"))


def test_an_empty_prediction_is_a_segmentation_too(tmp_path):
    series = write_series(tmp_path / "CT")
    source = read_series(index_dicom([tmp_path / "CT"]).series[series.uid])
    nothing = np.zeros(series.shape, bool)
    write_segmentation(tmp_path / "a.dcm", {"lesion": nothing, "node": nothing}, source, version="1")
    assert not read_mask(tmp_path / "a.dcm").array.any()


def test_one_bad_series_costs_itself(tmp_path):
    lesion_series(tmp_path / "CT" / "a", "P1", AXIAL)
    lesion_series(tmp_path / "CT" / "b", "P2", AXIAL, leave_out=[4])
    found, _ = find_series(tmp_path / "CT")
    report = predict_series(model(), found, tmp_path / "out")
    assert report.written == ("P1",)
    assert "1 of its slices are missing" in report.failed["P2"]
    with pytest.raises(InputError, match="none of 1 series can be predicted; for example P2"):
        predict_series(model(), {"P2": found["P2"]}, tmp_path / "out")


def test_the_command_writes_what_the_audit_reads(tmp_path):
    config, preprocessing = NetworkConfig.small("unet", in_channels=1), Preprocessing(phases=1)
    description = describe(config, preprocessing, (32, 32, 32))
    weights = build_network(config).state_dict()
    save_checkpoint(tmp_path / "checkpoint_best.pt", {"network": weights, "description": description})
    for at in range(2):
        lesion_series(tmp_path / "CT" / str(at), "P1", AXIAL)
    arguments = [
        "predict",
        str(tmp_path / "checkpoint_best.pt"),
        str(tmp_path / "CT"),
        str(tmp_path / "out"),
        "--dicom",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["P1_1.dcm", "P1_2.dcm"]
    assert {found.patient for found in index_dicom([tmp_path / "out"]).masks} == {"P1"}
    refused = CliRunner().invoke(app, [*arguments, "--boxes", str(tmp_path)])
    assert refused.exit_code == 2 or "breast boxes" in str(refused.exception)


def test_a_folder_without_series_is_told(tmp_path):
    with pytest.raises(InputError, match="is no folder"):
        find_series(tmp_path / "absent")
    with pytest.raises(InputError, match="holds no DICOM image series"):
        find_series(tmp_path)
