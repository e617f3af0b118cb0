"""Audit DICOM: a phantom as CT series, predictions as DICOM-SEG, labels as RTSTRUCT; the scores are those of NIfTI.

Needs `segfair[dicom]`. Names a folder to keep what it makes: `python examples/dicom_masks.py dicom/`.
"""

import sys
import tempfile
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pandas as pd
from contourpy import contour_generator
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

import segfair as sf
from segfair.phantom import write_phantom

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def new_file(kind, patient, like=None):
    """A dataset of some kind, in the study of another one."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = kind
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid()
    made.PatientID, made.PatientName, made.PatientBirthDate = patient, "", ""
    made.StudyID = made.AccessionNumber = made.ReferringPhysicianName = ""
    made.StudyInstanceUID = like.StudyInstanceUID if like else generate_uid()
    made.FrameOfReferenceUID = like.FrameOfReferenceUID if like else generate_uid()
    made.StudyDate, made.StudyTime = "20200101", "120000"
    return made


def write_series(folder, patient, row, image):
    """One file a slice, as a scanner would."""
    folder.mkdir(parents=True)
    affine, spacing = RAS_TO_LPS @ image.affine, image.header.get_zooms()
    voxels = np.asarray(image.dataobj)
    voxels = voxels[..., 0] if voxels.ndim == 4 else voxels
    study, series, slices = None, generate_uid(), []
    for at in range(voxels.shape[2]):
        made = new_file(CTImageStorage, patient, study)
        study = study or made
        made.Modality, made.Manufacturer, made.ManufacturerModelName = "CT", f"Scanner {row['site']}", ""
        made.PatientSex, made.PatientAge = "F", f"{int(row['age']):03d}Y" if row["age"] == row["age"] else ""
        made.SeriesInstanceUID, made.SeriesNumber, made.InstanceNumber = series, 1, at + 1
        made.Rows, made.Columns, made.SamplesPerPixel = voxels.shape[1], voxels.shape[0], 1
        made.PhotometricInterpretation, made.PixelRepresentation = "MONOCHROME2", 1
        made.BitsAllocated, made.BitsStored, made.HighBit = 16, 16, 15
        made.PixelSpacing, made.SliceThickness = [float(spacing[1]), float(spacing[0])], float(spacing[2])
        made.ImageOrientationPatient = [*(affine[:3, 0] / spacing[0]), *(affine[:3, 1] / spacing[1])]
        made.ImagePositionPatient = [float(value) for value in (affine @ [0, 0, at, 1])[:3]]
        made.PixelData = np.rint(100 * voxels[:, :, at].T).astype(np.int16).tobytes()
        made.save_as(folder / f"IM{at:04d}", enforce_file_format=True)
        slices.append(made)
    return slices


def write_seg(path, slices, mask, name):
    """A binary segmentation; slices without a voxel are left out."""
    path.parent.mkdir(parents=True)
    lesion = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label=name,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion,
        algorithm_type="MANUAL",
    )
    highdicom.seg.Segmentation(
        slices,
        mask.transpose(2, 1, 0).astype(np.uint8),
        "BINARY",
        [lesion],
        *(generate_uid(), 2, generate_uid(), 1, "Example", "Example", "1", "1"),
    ).save_as(path)


def write_rtstruct(path, slices, mask, affine, name):
    """Contours between the centres of the voxels inside and those outside."""
    path.parent.mkdir(parents=True)
    made = new_file(RTStructureSetStorage, slices[0].PatientID, slices[0])
    made.Modality, made.SeriesInstanceUID = "RTSTRUCT", generate_uid()
    frame, study, series, roi, drawn = (Dataset() for _ in range(5))
    series.SeriesInstanceUID = slices[0].SeriesInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = slices[0].FrameOfReferenceUID, [study]
    roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = 1, name, slices[0].FrameOfReferenceUID
    drawn.ReferencedROINumber, drawn.ContourSequence = 1, []
    for at in np.flatnonzero(mask.any(axis=(0, 1))):
        for line in contour_generator(z=np.pad(mask[:, :, at], 1).T.astype(float)).lines(0.5):
            corners = np.c_[line[:-1] - 1, np.full(len(line) - 1, at), np.ones(len(line) - 1)]
            contour = Dataset()
            contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(corners)
            contour.ContourData = [f"{value:.6f}" for value in (corners @ affine.T)[:, :3].ravel()]
            drawn.ContourSequence.append(contour)
    made.ReferencedFrameOfReferenceSequence = [frame]
    made.StructureSetROISequence, made.ROIContourSequence = [roi], [drawn]
    made.save_as(path, enforce_file_format=True)


def main(folder):
    """Writes the phantom as DICOM, and audits both."""
    phantom = write_phantom(folder / "nifti", n_cases=20, size=(24, 24, 16))
    rows = pd.read_csv(phantom.metadata).set_index("patient_id")
    for path in sorted(phantom.labels.iterdir()):
        patient = path.name.removesuffix(".nii.gz")
        label, prediction = nibabel.load(path), nibabel.load(phantom.predictions / path.name)
        slices = write_series(
            folder / "series" / patient, patient, rows.loc[patient], nibabel.load(phantom.images / path.name)
        )
        write_seg(folder / "predictions" / patient / "seg", slices, np.asarray(prediction.dataobj) > 0, "Tumour, model")
        affine = RAS_TO_LPS @ label.affine
        write_rtstruct(folder / "labels" / patient / "contours", slices, np.asarray(label.dataobj) > 0, affine, "GTV")

    plain = sf.audit(phantom.predictions, phantom.labels, phantom.metadata, permutations=199, bootstrap=200)
    dicom = sf.audit(
        folder / "predictions",
        folder / "labels",
        dicom_series=folder / "series",
        dicom_attributes="age,manufacturer,slice_thickness_mm",
        permutations=199,
        bootstrap=200,
    )
    scores = [np.array(result.cases.scores.column("dsc")) for result in (plain, dicom)]
    print(f"mean DSC {scores[0].mean():.4f} as NIfTI, {scores[1].mean():.4f} as DICOM")
    print(f"{(scores[0] == scores[1]).sum()} of {len(scores[0])} cases have the same DSC")
    print(dicom.by_group[["n", "dsc"]].round(3).to_string())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made))
