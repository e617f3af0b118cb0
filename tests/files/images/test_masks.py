"""Reading and writing single files: hand-made volumes, nibabel and SimpleITK as oracles, broken files."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segfair.errors import InputError
from segfair.files.images.masks import MASK_SUFFIXES, mask_stem, read_image, read_mask, write_image, write_mask

REAL = Path(__file__).resolve().parents[3].parent / "shared" / "real"
AFFINE = np.array([[-0.7, 0, 0, 10], [0, 0, 1.5, -20], [0, 0.9, 0, 30], [0, 0, 0, 1]])


@pytest.fixture
def labels() -> np.ndarray:
    """7 x 5 x 4 voxels, labels 0 to 3, no symmetry."""
    return np.random.default_rng(1).integers(0, 4, (7, 5, 4)).astype(np.uint8)


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE, kind=nib.Nifti1Image) -> Path:
    nib.save(kind(array, affine, dtype=array.dtype), path)
    return path


def refusal(path: Path) -> str:
    """The message with which a file is refused; it always names the file."""
    with pytest.raises(InputError) as caught:
        read_mask(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


# Names


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.nii.gz", "a"),
        ("a.b.nii", "a.b"),
        ("A.NII.GZ", "A"),
        ("P 1.seg.nrrd", "P 1"),
        ("x.npz", "x"),
        ("a.gz", None),
        ("nii.gz", None),
        (".nii.gz", None),
        ("._a.nii.gz", None),
        ("a.raw", None),
        ("a", None),
    ],
)
def test_mask_stem(name, stem):
    assert mask_stem(name) == stem


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1))
def test_stem_is_what_a_suffix_was_added_to(stem):
    for suffix in (".nii.gz", ".mha", ".png"):
        assert mask_stem(stem + suffix) == (None if stem.startswith(".") else stem)


# NIfTI


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i2", ">u4", "<i8", "<f4", ">f8"])
def test_nifti_types_and_byte_orders(tmp_path, labels, suffix, kind, dtype):
    data = kind(labels.astype(dtype), AFFINE, dtype=np.dtype(dtype).newbyteorder("="))
    if dtype.startswith(">"):
        data = kind(labels.astype(dtype), AFFINE, data.header.as_byteswapped(">"), dtype=dtype)
    path = tmp_path / f"a{suffix}"
    nib.save(data, path)
    mask = read_mask(path)
    assert mask.array.dtype.kind in "iu"
    assert mask.array.dtype.isnative
    np.testing.assert_array_equal(mask.array, labels)
    np.testing.assert_allclose(mask.affine, nib.load(path).affine, atol=0)
    assert mask.affine.dtype == np.float64
    np.testing.assert_allclose(mask.spacing_mm, (0.7, 0.9, 1.5), rtol=1e-6)


def test_integers_come_as_they_are_stored(tmp_path, labels):
    mask = read_mask(save(tmp_path / "a.nii.gz", labels))
    assert mask.array.dtype == np.uint8
    assert mask.array.flags.f_contiguous  # as stored


def test_negative_labels_are_kept(tmp_path, labels):
    stored = labels.astype(np.int16) - 2
    np.testing.assert_array_equal(read_mask(save(tmp_path / "a.nii", stored)).array, stored)


def test_negative_whole_floats_become_integers(tmp_path):
    stored = np.array([[[-1.0, 0.0, 300.0]]])
    mask = read_mask(save(tmp_path / "a.nii", stored))
    assert mask.array.dtype == np.int16
    assert mask.array.ravel().tolist() == [-1, 0, 300]


def test_rescaled_integers_are_the_labels_they_stand_for(tmp_path):
    # nibabel stores [0, 1, 2] as 8-bit codes with slope 2/255: 0.99999... comes back and is 1.
    image = nib.Nifti1Image(np.array([[[0.0, 1.0, 2.0]]]), np.eye(4))
    image.set_data_dtype(np.uint8)
    image.header.set_slope_inter(2 / 255, 0)
    raw = bytearray(image.to_bytes())
    raw[352:355] = bytes([0, 127, 255])
    (tmp_path / "half.nii").write_bytes(raw)
    assert "not whole numbers" in refusal(tmp_path / "half.nii")
    raw[112:116] = np.float32(1 / 127).tobytes()
    raw[354] = 254
    (tmp_path / "a.nii").write_bytes(raw)
    assert read_mask(tmp_path / "a.nii").array.ravel().tolist() == [0, 1, 2]
    intensities = read_image(tmp_path / "a.nii").array
    np.testing.assert_allclose(intensities.ravel(), [0, 1, 2], rtol=1e-6)


def test_which_of_sform_and_qform_counts_is_nibabels_decision(tmp_path, labels):
    other = np.diag([2.0, 2.0, 2.0, 1.0])
    for sform_code, qform_code in [(1, 1), (0, 1), (1, 0), (0, 0)]:
        image = nib.Nifti1Image(labels, AFFINE)
        image.set_sform(AFFINE, code=sform_code)
        image.set_qform(other, code=qform_code)
        path = tmp_path / f"{sform_code}{qform_code}.nii"
        nib.save(image, path)
        np.testing.assert_allclose(read_mask(path).affine, nib.load(path).affine, atol=0)


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1.0), ("meter", 1000.0), ("micron", 1e-3)])
def test_units_become_millimetres_as_in_itk(tmp_path, labels, unit, factor):
    image = nib.Nifti1Image(labels, AFFINE)
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii")
    spacing = read_mask(tmp_path / "a.nii").spacing_mm
    np.testing.assert_allclose(spacing, np.multiply((0.7, 0.9, 1.5), factor), rtol=1e-6)
    itk = SimpleITK.ReadImage(str(tmp_path / "a.nii")).GetSpacing()
    np.testing.assert_allclose(spacing, itk, rtol=1e-6)


@pytest.mark.parametrize("stored", [(7, 5, 4, 1), (7, 5, 4, 1, 1)])
def test_trailing_axes_of_one_are_dropped(tmp_path, labels, stored):
    mask = read_mask(save(tmp_path / "a.nii", labels.reshape(stored)))
    np.testing.assert_array_equal(mask.array, labels)


def test_a_volume_of_one_slice_stays_3d_and_a_2d_one_2d(tmp_path, labels):
    assert read_mask(save(tmp_path / "a.nii", labels[:, :, :1])).array.shape == (7, 5, 1)
    flat = read_mask(save(tmp_path / "b.nii", labels[:, :, 0]))
    assert flat.array.shape == (7, 5)
    assert len(flat.spacing_mm) == 2


def test_four_dimensions_are_refused(tmp_path, labels):
    message = refusal(save(tmp_path / "a.nii", np.stack([labels, labels], axis=-1)))
    assert "4-D (7x5x4x2)" in message


def test_compression_is_told_from_the_content(tmp_path, labels):
    plain = save(tmp_path / "a.nii", labels).read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(plain)
    (tmp_path / "c.nii").write_bytes(gzip.compress(plain))
    for name in ("b.nii.gz", "c.nii"):
        np.testing.assert_array_equal(read_mask(tmp_path / name).array, labels)


def test_gzip_of_many_members_and_padding(tmp_path, labels):
    plain = save(tmp_path / "a.nii", labels).read_bytes()
    half = len(plain) // 2
    members = gzip.compress(plain[:half]) + gzip.compress(plain[half : 2 * half]) + gzip.compress(plain[2 * half :])
    (tmp_path / "b.nii.gz").write_bytes(members)
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(plain) + b"\0" * 100)
    for name in ("b.nii.gz", "c.nii.gz"):
        np.testing.assert_array_equal(read_mask(tmp_path / name).array, labels)


# What is no mask


def test_folder_missing_empty_and_unknown(tmp_path):
    (tmp_path / "d.nii.gz").mkdir()
    (tmp_path / "e.nii.gz").touch()
    (tmp_path / "f.bmp").write_bytes(b"x")
    assert "is a folder" in refusal(tmp_path / "d.nii.gz")
    assert "is empty (0 bytes)" in refusal(tmp_path / "e.nii.gz")
    assert "No such file" in refusal(tmp_path / "missing.nii")
    assert ".nii.gz" in refusal(tmp_path / "f.bmp")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".png", ".npz"])
def test_junk_is_refused_in_every_format(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"this is no mask " * 50)
    refusal(path)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha", ".png", ".npz"])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_truncation_is_refused_in_every_format(tmp_path, suffix, kept):
    path = tmp_path / f"a{suffix}"
    noise = np.random.default_rng(0).integers(0, 200, (40, 30, 20)).astype(np.uint8)
    if suffix.startswith(".nii"):
        save(path, noise)
    elif suffix == ".npz":
        np.savez_compressed(path, mask=noise)
    elif suffix == ".png":
        Image.fromarray(noise[:, :, 0]).save(path)
    else:
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(noise), str(path))
    content = path.read_bytes()
    read_mask(path)
    path.write_bytes(content[: int(len(content) * kept)])
    refusal(path)


def test_short_data_behind_an_intact_header_and_gzip(tmp_path, labels):
    plain = save(tmp_path / "a.nii", labels).read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(plain[:-40]))
    assert "truncated, 100 of 140 bytes" in refusal(tmp_path / "b.nii.gz")


def test_a_flipped_bit_in_the_compressed_stream(tmp_path, labels):
    content = bytearray(save(tmp_path / "a.nii.gz", labels).read_bytes())
    content[-6] ^= 1
    (tmp_path / "a.nii.gz").write_bytes(content)
    assert "gzip compression is truncated or damaged" in refusal(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("place", [40, 70, 72, 108])
def test_a_damaged_header_is_a_refusal_not_a_crash(tmp_path, labels, place):
    # dim, datatype, bitpix, vox_offset overwritten
    content = bytearray(save(tmp_path / "a.nii", labels).read_bytes())
    content[place : place + 4] = b"\xff\xff\xff\x7f"
    (tmp_path / "a.nii").write_bytes(content)
    if place == 72:  # bitpix is not needed
        np.testing.assert_array_equal(read_mask(tmp_path / "a.nii").array, labels)
    else:
        refusal(tmp_path / "a.nii")


def test_random_damage_is_a_refusal_or_a_mask(tmp_path, labels):
    write_mask(tmp_path / "a.nii.gz", labels, affine=AFFINE)
    save(tmp_path / "b.nii", labels.astype(np.float32))
    np.savez_compressed(tmp_path / "c.npz", mask=labels)
    Image.fromarray(labels[:, :, 0]).save(tmp_path / "d.png")
    rng = np.random.default_rng(5)
    for path in sorted(tmp_path.iterdir()):
        content = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(150):
            damaged = content.copy()
            places = rng.integers(0, min(len(content), 400), 2)
            damaged[places] = rng.integers(0, 256, 2)
            path.write_bytes(damaged.tobytes())
            try:
                mask = read_mask(path)
            except InputError as error:
                assert str(path) in str(error)
            else:
                assert mask.array.dtype.kind in "iu"
                assert np.isfinite(mask.affine).all()


@pytest.mark.parametrize(("value", "word"), [(np.nan, "1 NaN"), (np.inf, "1 infinite"), (-np.inf, "1 infinite")])
def test_nan_and_infinity(tmp_path, labels, value, word):
    stored = labels.astype(np.float32)
    stored[3, 2, 1] = value
    assert f"holds {word} values" in refusal(save(tmp_path / "a.nii.gz", stored))


def test_probability_map(tmp_path, labels):
    stored = (labels > 0).astype(np.float32)
    stored[3, 2, 1] = 0.37
    message = refusal(save(tmp_path / "a.nii.gz", stored))
    assert "looks like a probability map: values such as 0.37; threshold it first" in message


def test_floats_beyond_one_are_no_probabilities(tmp_path):
    assert "not a mask: values such as 13.7" in refusal(save(tmp_path / "a.nii", np.array([[[0.0, 13.7]]])))
    assert "no labels" in refusal(save(tmp_path / "b.nii", np.array([[[0.0, 1e20]]])))


def test_colour_and_complex_nifti(tmp_path):
    assert "one number per voxel" in refusal(save(tmp_path / "a.nii", np.zeros((3, 3, 3), np.complex64)))
    rgb = np.zeros((3, 3, 3), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    assert "one number per voxel" in refusal(save(tmp_path / "b.nii", rgb))


def test_a_voxel_size_of_zero(tmp_path, labels):
    content = bytearray(save(tmp_path / "a.nii", labels, np.diag([2, 1, 1.5, 1])).read_bytes())
    content[280:284] = bytes(4)  # srow_x[0]
    (tmp_path / "a.nii").write_bytes(content)
    assert "spacing of 0x1x1.5 mm" in refusal(tmp_path / "a.nii")


# Other formats


@pytest.mark.parametrize("suffix", [".nrrd", ".seg.nrrd", ".mha", ".mhd", ".nii.gz"])
@pytest.mark.parametrize("compressed", [False, True])
def test_itk_formats_carry_the_same_array_and_affine_as_nifti(tmp_path, labels, suffix, compressed):
    image = SimpleITK.GetImageFromArray(labels.transpose(2, 1, 0))
    image.SetSpacing((0.7, 0.9, 1.5))
    image.SetOrigin((1, -2, 3))
    image.SetDirection((0, 0, 1, -1, 0, 0, 0, -1, 0))
    SimpleITK.WriteImage(image, str(tmp_path / f"a{suffix}"), compressed)
    mask = read_mask(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(mask.array, labels)
    np.testing.assert_allclose(mask.spacing_mm, (0.7, 0.9, 1.5), rtol=1e-6)
    for index in np.ndindex(2, 2, 2):
        left, posterior, superior = image.TransformIndexToPhysicalPoint(tuple(int(i) for i in index))
        np.testing.assert_allclose((mask.affine @ [*index, 1])[:3], (-left, -posterior, superior), atol=1e-5)


def test_nrrd_in_ras_space_written_by_hand(tmp_path):
    header = (
        "NRRD0004\ntype: uchar\ndimension: 3\nspace: right-anterior-superior\nsizes: 2 3 1\n"
        "space directions: (2,0,0) (0,3,0) (0,0,4)\nendian: little\nencoding: raw\nspace origin: (10,20,30)\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(header.encode() + bytes([0, 1, 2, 3, 4, 5]))
    mask = read_mask(tmp_path / "a.nrrd")
    assert mask.array[:, :, 0].tolist() == [[0, 2, 4], [1, 3, 5]]
    np.testing.assert_allclose(mask.affine, [[2, 0, 0, 10], [0, 3, 0, 20], [0, 0, 4, 30], [0, 0, 0, 1]])


def test_itk_images_of_two_and_four_axes(tmp_path, labels):
    image = SimpleITK.GetImageFromArray(labels[:, :, 0].T)
    image.SetSpacing((2, 3))
    SimpleITK.WriteImage(image, str(tmp_path / "a.mha"))
    mask = read_mask(tmp_path / "a.mha")
    np.testing.assert_array_equal(mask.array, labels[:, :, 0])
    assert mask.spacing_mm == (2.0, 3.0)
    volumes = SimpleITK.JoinSeries([SimpleITK.GetImageFromArray(labels)] * 2)
    SimpleITK.WriteImage(volumes, str(tmp_path / "b.nrrd"))
    assert "4-D" in refusal(tmp_path / "b.nrrd")
    layers = SimpleITK.GetImageFromArray(np.stack([labels, labels], axis=-1), isVector=True)
    SimpleITK.WriteImage(layers, str(tmp_path / "c.nrrd"))
    assert "2 layers or channels" in refusal(tmp_path / "c.nrrd")


def test_mhd_without_its_data_file(tmp_path, labels):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(labels), str(tmp_path / "a.mhd"))
    (tmp_path / "a.raw").unlink()
    assert "data file missing" in refusal(tmp_path / "a.mhd")


def test_png_modes(tmp_path):
    pixels = np.array([[0, 1, 2], [3, 4, 5]], np.uint8)  # two rows of three
    grey = Image.fromarray(pixels)
    palette = Image.fromarray(pixels).convert("P")
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9, 8, 8, 8, 7, 7, 7])
    same = Image.fromarray(np.stack([pixels] * 3, axis=-1))
    opaque = Image.fromarray(np.dstack([pixels] * 3 + [np.full_like(pixels, 255)]))
    for name, picture in (("grey", grey), ("palette", palette), ("same", same), ("opaque", opaque)):
        picture.save(tmp_path / f"{name}.png")
        mask = read_mask(tmp_path / f"{name}.png")
        # x runs along a row, as in an image that SimpleITK reads
        np.testing.assert_array_equal(mask.array, pixels.T, err_msg=name)
        np.testing.assert_array_equal(mask.affine, np.eye(4))
    Image.fromarray(pixels.astype(np.uint16) * 1000).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "deep.png").array, pixels.T.astype(int) * 1000)
    Image.fromarray(pixels > 2).save(tmp_path / "bit.png")
    assert read_mask(tmp_path / "bit.png").array.tolist() == [[0, 1], [0, 1], [0, 1]]


def test_colour_png_is_refused_as_mask_and_greyed_as_image(tmp_path):
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[..., 0] = 100
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert "colour picture" in refusal(tmp_path / "a.png")
    intensities = read_image(tmp_path / "a.png").array
    np.testing.assert_allclose(intensities, np.full((3, 2), 29.9), rtol=1e-5)


def test_npz_keys_and_geometry(tmp_path, labels):
    np.savez(tmp_path / "only.npz", whatever=labels, spacing=[1.0, 2.0, 3.0])
    mask = read_mask(tmp_path / "only.npz")
    np.testing.assert_array_equal(mask.array, labels)
    assert mask.spacing_mm == (1.0, 2.0, 3.0)
    np.savez(tmp_path / "affine.npz", seg=labels > 1, data=np.zeros(3), affine=AFFINE)
    mask = read_mask(tmp_path / "affine.npz")
    np.testing.assert_array_equal(mask.array, labels > 1)
    np.testing.assert_array_equal(mask.affine, AFFINE)
    np.savez(tmp_path / "unnamed.npz", labels)
    assert read_mask(tmp_path / "unnamed.npz").spacing_mm == (1.0, 1.0, 1.0)


def test_npz_that_is_no_mask(tmp_path, labels):
    np.savez(tmp_path / "p.npz", probabilities=np.zeros((2, 4, 5, 7), np.float16))
    assert "class probabilities" in refusal(tmp_path / "p.npz")
    np.savez(tmp_path / "two.npz", a=labels, b=labels)
    assert "holds the arrays a, b; name the right one mask" in refusal(tmp_path / "two.npz")
    np.savez(tmp_path / "objects.npz", mask=np.array([{}], dtype=object), allow_pickle=True)
    refusal(tmp_path / "objects.npz")
    np.savez(tmp_path / "affine.npz", mask=labels, affine=np.eye(3))
    assert "expected (4, 4)" in refusal(tmp_path / "affine.npz")
    with (tmp_path / "bare.npz").open("wb") as stream:
        np.save(stream, labels)
    assert "bare .npy" in refusal(tmp_path / "bare.npz")


# Writing


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(("dtype", "stored"), [("bool", "u1"), ("i8", "u1"), ("f4", "u1"), ("u2", "u1")])
def test_written_masks_read_back_everywhere(tmp_path, labels, suffix, dtype, stored):
    expected = labels.astype(dtype)
    path = tmp_path / "new" / f"a{suffix}"
    write_mask(path, expected, affine=AFFINE)
    mask = read_mask(path)
    np.testing.assert_array_equal(mask.array, expected)
    assert mask.array.dtype == stored
    np.testing.assert_allclose(mask.affine, AFFINE, atol=1e-6)
    # SimpleITK looks at the qform, nibabel at the sform
    itk = SimpleITK.ReadImage(str(path))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(itk).T, expected)
    np.testing.assert_allclose(itk.GetSpacing(), (0.7, 0.9, 1.5), rtol=1e-5)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_sheared_affines_survive_writing(tmp_path, labels):
    sheared = AFFINE.copy()
    sheared[0, 1] = 0.4
    write_mask(tmp_path / "a.nii.gz", labels, affine=sheared)
    np.testing.assert_allclose(read_mask(tmp_path / "a.nii.gz").affine, sheared, atol=1e-6)


def test_the_same_mask_gives_the_same_bytes(tmp_path, labels):
    for name in ("a.nii.gz", "b.nii.gz"):
        write_mask(tmp_path / name, labels, affine=AFFINE)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_wide_labels_keep_their_values(tmp_path):
    for value in (200, 300, -5, 70_000, 2**40):
        write_mask(tmp_path / "a.nii.gz", np.array([[[0, value]]]), affine=np.eye(4))
        assert read_mask(tmp_path / "a.nii.gz").array.ravel().tolist() == [0, value]


def test_images_keep_their_intensities(tmp_path):
    image = np.random.default_rng(0).normal(0, 100, (5, 4, 3))
    write_image(tmp_path / "a.nii.gz", image, affine=AFFINE)
    again = read_image(tmp_path / "a.nii.gz")
    assert again.array.dtype == np.float32
    np.testing.assert_allclose(again.array, image, rtol=1e-6)
    np.testing.assert_allclose(again.affine, AFFINE, atol=1e-6)


def test_what_cannot_be_written(tmp_path, labels):
    with pytest.raises(InputError, match=r"a\.nrrd: only \.nii and \.nii\.gz"):
        write_mask(tmp_path / "a.nrrd", labels, affine=AFFINE)
    with pytest.raises(InputError, match="probability map"):
        write_mask(tmp_path / "a.nii.gz", labels * 0.3, affine=AFFINE)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_mask(tmp_path / "file" / "a.nii.gz", labels, affine=AFFINE)
    assert not list(tmp_path.glob("**/*.part"))


# Real files


@pytest.mark.skipif(not REAL.is_dir(), reason="the folder of real masks is not there")
def test_real_masks_read_as_nibabel_and_simpleitk_read_them():
    paths = sorted(REAL.rglob("*.nii.gz"))
    assert paths
    for path in paths:
        mask, oracle = read_mask(path), nib.load(path)
        np.testing.assert_array_equal(mask.array, np.asanyarray(oracle.dataobj), err_msg=str(path))
        np.testing.assert_allclose(mask.affine, oracle.affine, atol=0)
        itk = SimpleITK.ReadImage(str(path))
        np.testing.assert_array_equal(mask.array, SimpleITK.GetArrayViewFromImage(itk).T)
        np.testing.assert_allclose(mask.spacing_mm, itk.GetSpacing(), atol=1e-4)


def test_suffixes_end_names_longest_first():
    for i, suffix in enumerate(MASK_SUFFIXES):
        assert not any(suffix.endswith(earlier) for earlier in MASK_SUFFIXES[:i])
