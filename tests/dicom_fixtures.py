"""DICOM made for tests: image series by pydicom, segmentations by highdicom, structure sets point by point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
_ANGLE = np.deg2rad(30)
OBLIQUE = ((float(np.cos(_ANGLE)), float(np.sin(_ANGLE)), 0.0), (0.0, 0.0, -1.0))
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Series:
    """An image series on disk.

    `shape` is columns, rows, slices; `spacing` between columns, rows, slices in mm.
    """

    folder: Path
    datasets: list[Any]
    shape: tuple[int, int, int]
    affine: np.ndarray

    @property
    def uid(self) -> str:
        return str(self.datasets[0].SeriesInstanceUID)


def write_series(
    folder: Path,
    *,
    patient: str = "P1",
    shape: tuple[int, int, int] = (16, 14, 8),
    spacing: tuple[float, float, float] = (0.8, 1.2, 2.5),
    orientation: tuple[Sequence[float], Sequence[float]] = AXIAL,
    origin: Sequence[float] = (-10.0, 20.0, -30.0),
    voxels: np.ndarray | None = None,
    leave_out: Sequence[int] = (),
    study: str | None = None,
    frame: str | None = None,
    **header: Any,
) -> Series:
    folder.mkdir(parents=True, exist_ok=True)
    along_row, along_column = np.array(orientation[0]), np.array(orientation[1])
    normal = np.cross(along_row, along_column)
    study, series, frame = study or generate_uid(), generate_uid(), frame or generate_uid()
    datasets = []
    for at in range(shape[2]):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
        ds.PatientID, ds.PatientName, ds.PatientBirthDate = patient, "Doe^Jane", "19600101"
        ds.PatientSex, ds.PatientAge = "F", "045Y"
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.StudyDate = ds.SeriesDate = ds.ContentDate = "20200101"
        ds.StudyTime = ds.SeriesTime = ds.ContentTime = "120000"
        ds.StudyID, ds.SeriesNumber, ds.InstanceNumber, ds.AccessionNumber = "1", 3, at + 1, ""
        ds.Modality, ds.Manufacturer, ds.ManufacturerModelName = "CT", "Acme", "Tomo 3"
        ds.KVP, ds.ImageType, ds.ReferringPhysicianName, ds.PositionReferenceIndicator = (
            "120",
            ["ORIGINAL", "PRIMARY"],
            "",
            "",
        )
        ds.Columns, ds.Rows, ds.SamplesPerPixel, ds.PhotometricInterpretation = shape[0], shape[1], 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.RescaleSlope, ds.RescaleIntercept = "1", "-1024"
        ds.PixelSpacing, ds.SliceThickness = [spacing[1], spacing[0]], spacing[2]
        ds.ImageOrientationPatient = [*map(float, along_row), *map(float, along_column)]
        ds.ImagePositionPatient = [float(x) for x in np.array(origin) + at * spacing[2] * normal]
        for name, value in header.items():
            setattr(ds, name, value)
        pixels = np.zeros(shape[:2]) if voxels is None else voxels[:, :, at]
        ds.PixelData = (pixels.T + 1024).astype(np.int16).tobytes()
        datasets.append(ds)
        if at not in leave_out:
            # Names say nothing, and files are in no order.
            ds.save_as(folder / f"IM{(at * 7) % shape[2]:04d}_{ds.SOPInstanceUID[-6:]}", enforce_file_format=True)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = along_row * spacing[0], along_column * spacing[1]
    affine[:3, 2], affine[:3, 3] = normal * spacing[2], origin
    return Series(folder, datasets, shape, LPS @ affine)


def segment(number: int, name: str) -> Any:
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Neoplasm,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
    )


def write_seg(
    path: Path,
    series: Series,
    masks: Mapping[str, np.ndarray],
    *,
    kind: str = "BINARY",
    omit_empty_frames: bool = True,
    transfer_syntax: str = ExplicitVRLittleEndian,
) -> Path:
    """A segmentation of named masks (columns, rows, slices); fractions from 0 to 1 where `kind` is FRACTIONAL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.stack([mask.transpose(2, 1, 0) for mask in masks.values()], axis=-1)
    pixels = pixels.astype(np.float32 if kind == "FRACTIONAL" else np.uint8)
    if kind == "LABELMAP":
        pixels = (pixels * np.arange(1, len(masks) + 1, dtype=np.uint8)).max(axis=-1)
    more = {"fractional_type": "PROBABILITY"} if kind == "FRACTIONAL" else {}
    highdicom.seg.Segmentation(
        source_images=series.datasets,
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=[segment(at, name) for at, name in enumerate(masks, start=1)],
        series_instance_uid=generate_uid(),
        series_number=100,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="Tests",
        manufacturer_model_name="Tests",
        software_versions="1",
        device_serial_number="1",
        omit_empty_frames=omit_empty_frames,
        transfer_syntax_uid=transfer_syntax,
        **more,
    ).save_as(path)
    return path


def write_contours(
    path: Path,
    series: Series,
    rois: Mapping[str, Sequence[np.ndarray]],
    *,
    kind: str = "CLOSED_PLANAR",
    frame: str | None = None,
) -> Path:
    """A structure set of contours in voxels, (n, 3) each: column, row, slice."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = series.datasets[0]
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = image.PatientID, image.StudyInstanceUID, generate_uid()
    ds.Modality, ds.StructureSetLabel = "RTSTRUCT", "tests"
    frame = frame or image.FrameOfReferenceUID
    referenced, study, frame_item = Dataset(), Dataset(), Dataset()
    referenced.SeriesInstanceUID = series.uid
    study.RTReferencedSeriesSequence = [referenced]
    frame_item.FrameOfReferenceUID, frame_item.RTReferencedStudySequence = frame, [study]
    ds.ReferencedFrameOfReferenceSequence = [frame_item]
    ds.StructureSetROISequence, ds.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(rois.items(), start=1):
        roi, entry = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, frame
        entry.ReferencedROINumber = number
        entry.ContourSequence = []
        for corners in contours:
            contour = Dataset()
            points = np.c_[corners, np.ones(len(corners))] @ (LPS @ series.affine).T
            contour.ContourGeometricType = kind
            contour.NumberOfContourPoints = len(corners)
            contour.ContourData = [f"{x:.8g}" for x in points[:, :3].ravel()]
            entry.ContourSequence.append(contour)
        ds.StructureSetROISequence.append(roi)
        ds.ROIContourSequence.append(entry)
    ds.save_as(path, enforce_file_format=True)
    return path


def ball(shape: tuple[int, int, int], centre: Sequence[float], radius: float) -> np.ndarray:
    grid = np.indices(shape)
    return sum((axis - at) ** 2 for axis, at in zip(grid, centre, strict=True)) <= radius**2


def edited(path: Path, change: Any) -> Path:
    """A file after a change of its dataset."""
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)
    return path
