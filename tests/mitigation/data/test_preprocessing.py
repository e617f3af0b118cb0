"""Forward and back: where voxels go, what is normalised, what is refused."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("monai")
nib = pytest.importorskip("nibabel")

from segfair.errors import ConfigError, GeometryError, InputError  # noqa: E402
from segfair.files.images.masks import write_image, write_mask  # noqa: E402
from segfair.mitigation.data.boxes import BreastBox  # noqa: E402
from segfair.mitigation.data.preprocessing import Grid, Preprocessing, load_volume, restore  # noqa: E402
from segfair.mitigation.data.regions import IGNORED, Region, Regions  # noqa: E402
from segfair.protocol.rules import load_protocol  # noqa: E402

LPS = np.diag([-1.0, -1.0, 1.0])
# Permuted, flipped and turned by 20 degrees about one axis: axes of the file are in no simple order.
TURN = np.array([[np.cos(0.35), -np.sin(0.35), 0.0], [np.sin(0.35), np.cos(0.35), 0.0], [0.0, 0.0, 1.0]])
PERMUTED = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def affine_of(directions, spacing, origin=(5.0, -7.0, 11.0)):
    affine = np.eye(4)
    affine[:3, :3] = directions @ np.diag(spacing)
    affine[:3, 3] = origin
    return affine


GEOMETRIES = {
    "isotropic RAS": affine_of(np.eye(3), (1.0, 1.0, 1.0)),
    "anisotropic LPS": affine_of(LPS, (0.7, 0.8, 2.2)),
    "permuted": affine_of(PERMUTED, (1.7, 0.6, 1.1)),
    "oblique": affine_of(TURN @ PERMUTED, (0.9, 1.3, 2.0)),
}


def write(path: Path, array, affine) -> Path:
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def world_of(shape, affine):
    """(*shape, 3) world coordinates of every voxel, one by one."""
    places = np.zeros((*shape, 3))
    for index in itertools.product(*map(range, shape)):
        places[index] = (affine @ [*index, 1.0])[:3]
    return places


def lesion(shape, affine, radius_mm=6.0):
    places = world_of(shape, affine)
    centre = (affine @ [*(np.array(shape) * 0.45), 1.0])[:3]
    return (np.linalg.norm((places - centre) / [1.0, 0.8, 1.2], axis=-1) < radius_mm).astype(np.uint8)


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_ramp_in_world_coordinates_stays_one(name, tmp_path):
    # The value of each voxel says where it is; whatever the forward steps do, it must still be there.
    affine, shape = GEOMETRIES[name], (20, 22, 18)
    places = world_of(shape, affine) + 1000.0
    files = [write(tmp_path / f"c_{axis}.nii.gz", places[..., axis].astype(np.float32), affine) for axis in range(3)]
    volume = load_volume(files, Preprocessing())
    expected = world_of(volume.grid.shape, volume.grid.affine) + 1000.0
    image = volume.image.numpy()
    # Undo the normalisation by its own definition: one mean and deviation over all phases.
    inside = tuple(slice(1, -1) for _ in range(3))
    found = np.stack([image[axis][inside] for axis in range(3)], axis=-1)
    wanted = expected[inside]
    slope, shift = np.polyfit(found.ravel(), wanted.ravel(), 1)
    assert np.abs(found * slope + shift - wanted).max() < 0.01
    np.testing.assert_allclose(np.linalg.norm(volume.grid.affine[:3, :3], axis=0), 1.0, atol=1e-6)
    codes = nib.aff2axcodes(volume.grid.affine)
    assert codes == ("R", "A", "S")


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_label_comes_back_onto_its_own_grid(name, tmp_path):
    affine, shape = GEOMETRIES[name], (30, 26, 24)
    label = lesion(shape, affine)
    image = np.random.default_rng(0).uniform(1, 2, shape).astype(np.float32)
    files = [write(tmp_path / "c.nii.gz", image, affine)]
    volume = load_volume(files, Preprocessing(phases=1), label=write(tmp_path / "l.nii.gz", label, affine))
    assert volume.source.shape == shape
    np.testing.assert_allclose(volume.source.affine, affine, atol=1e-5)
    back = restore(volume.label[0].numpy().astype(np.float32), volume.grid, volume.source)
    assert back.shape == shape
    if name == "isotropic RAS":
        np.testing.assert_array_equal(back, label.astype(bool))
    else:
        assert dice(back, label.astype(bool)) > 0.93


@pytest.mark.parametrize("name", GEOMETRIES)
def test_restoring_agrees_with_simpleitk(name):
    sitk = pytest.importorskip("SimpleITK")
    rng = np.random.default_rng(1)
    source = Grid((21, 17, 19), GEOMETRIES[name])
    # A grid of 1 mm around the same place, with another origin: half a voxel off on purpose.
    low = (source.affine @ [*(np.array(source.shape) / 2), 1.0])[:3] - 9.37
    grid = Grid((20, 18, 16), affine_of(np.eye(3), (1.0, 1.0, 1.0), low))
    values = rng.random(grid.shape).astype(np.float32)

    def as_sitk(array, affine):
        # SimpleITK keeps arrays the other way round, and LPS where the affine is RAS.
        flipped = np.diag([-1.0, -1.0, 1.0]) @ affine[:3]
        spacing = np.linalg.norm(flipped[:, :3], axis=0)
        image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose()))
        image.SetSpacing(spacing.tolist())
        image.SetOrigin(flipped[:, 3].tolist())
        image.SetDirection((flipped[:, :3] / spacing).ravel().tolist())
        return image

    reference = as_sitk(np.zeros(source.shape, np.float32), source.affine)
    expected = sitk.Resample(as_sitk(values, grid.affine), reference, sitk.Transform(), sitk.sitkLinear, -1.0)
    expected = sitk.GetArrayFromImage(expected).transpose()
    found = restore(values, grid, source, threshold=0.55)
    clear = np.abs(expected - 0.55) > 1e-4
    assert found.any()
    np.testing.assert_array_equal(found[clear], expected[clear] > 0.55)


def test_voxels_outside_of_the_crop_are_background():
    grid = Grid((4, 4, 4), affine_of(np.eye(3), (1.0, 1.0, 1.0), (10.0, 10.0, 10.0)))
    source = Grid((20, 20, 20), affine_of(np.eye(3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))
    found = restore(np.ones(grid.shape, np.float32), grid, source)
    expected = np.zeros(source.shape, bool)
    expected[10:14, 10:14, 10:14] = True
    np.testing.assert_array_equal(found, expected)


def test_the_outermost_voxels_reach_half_a_voxel_further():
    # One voxel of 2 mm, centred on 0, covers the voxels of 0.5 mm whose centres lie within 1 mm.
    grid = Grid((1, 1, 1), affine_of(np.eye(3), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0)))
    source = Grid((9, 1, 1), affine_of(np.eye(3), (0.5, 0.5, 0.5), (-2.0, 0.0, 0.0)))
    found = restore(np.ones((1, 1, 1), np.float32), grid, source)
    assert found[:, 0, 0].tolist() == [False, False, True, True, True, True, True, False, False]


def test_nothing_above_the_threshold_gives_an_empty_mask():
    grid = Grid((4, 4, 4), np.eye(4))
    found = restore(np.full((4, 4, 4), 0.5, np.float32), grid, Grid((3, 5, 4), np.eye(4)))
    assert found.shape == (3, 5, 4)
    assert not found.any()


def test_a_prediction_beside_the_file_is_background():
    grid = Grid((4, 4, 4), affine_of(np.eye(3), (1.0, 1.0, 1.0), (100.0, 0.0, 0.0)))
    assert not restore(np.ones((4, 4, 4), np.float32), grid, Grid((3, 5, 4), np.eye(4))).any()


def test_cropping_to_non_zero_voxels_keeps_places_and_counts_what_it_cuts(tmp_path):
    affine = affine_of(np.eye(3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    image = np.zeros((12, 10, 8), np.float32)
    # Negative values are not zero either; a test for positive ones would crop these away.
    image[2:9, 3:9, 1:7] = -5.0
    image[4, 4, 4] = 3.0
    label = np.zeros(image.shape, np.uint8)
    label[8:11, 5, 5] = 1
    volume = load_volume(
        [write(tmp_path / "c.nii", image, affine)],
        Preprocessing(phases=1),
        label=write(tmp_path / "l.nii", label, affine),
    )
    assert volume.grid.shape == (7, 6, 6)
    np.testing.assert_allclose(volume.grid.affine[:3, 3], [2.0, 3.0, 1.0])
    assert volume.n_cropped == 2
    assert int(volume.label.sum()) == 1
    assert volume.label[0, 8 - 2, 5 - 3, 5 - 1] == 1


@pytest.mark.parametrize("mode", ["case", "phase"])
def test_normalisation_uses_non_zero_voxels(mode, tmp_path):
    rng = np.random.default_rng(2)
    phases = [rng.uniform(10, 20, (8, 8, 8)).astype(np.float32) * (1 + phase) for phase in range(2)]
    for phase in phases:
        phase[3:5, 3:5, 3:5] = 0.0
    files = [write(tmp_path / f"p{i}.nii.gz", phase, np.eye(4)) for i, phase in enumerate(phases)]
    image = load_volume(files, Preprocessing(phases=2, normalise=mode)).image.numpy()
    stacked = np.stack(phases).astype(np.float64)
    expected = np.zeros_like(stacked)
    groups = [slice(None)] if mode == "case" else [slice(0, 1), slice(1, 2)]
    for group in groups:
        values = stacked[group][stacked[group] != 0]
        part = stacked[group] != 0
        expected[group] = np.where(part, (stacked[group] - values.mean()) / values.std(), 0.0)
    np.testing.assert_allclose(image, expected, atol=1e-4)


def test_four_dimensional_files_and_surplus_phases(tmp_path):
    rng = np.random.default_rng(3)
    phases = rng.uniform(1, 2, (6, 7, 8, 5)).astype(np.float32)
    one = write(tmp_path / "four.nii.gz", phases, GEOMETRIES["isotropic RAS"])
    several = [write(tmp_path / f"x_{i}.nii.gz", phases[..., i], GEOMETRIES["isotropic RAS"]) for i in range(5)]
    single = load_volume([one], Preprocessing(phases=3))
    many = load_volume(several, Preprocessing(phases=3))
    assert single.image.shape == (3, 6, 7, 8)
    assert torch.equal(single.image, many.image)
    with pytest.raises(InputError, match=r"four\.nii\.gz: 5 phases, 6 are needed"):
        load_volume([one], Preprocessing(phases=6))


def test_a_label_in_another_orientation_of_the_same_grid_fits(tmp_path):
    affine, shape = GEOMETRIES["anisotropic LPS"], (14, 12, 10)
    image = np.random.default_rng(4).uniform(1, 2, shape).astype(np.float32)
    label = lesion(shape, affine, radius_mm=3.0)
    stored = nib.as_closest_canonical(nib.Nifti1Image(label, affine))
    nib.save(stored, tmp_path / "other.nii.gz")
    file = write(tmp_path / "c.nii.gz", image, affine)
    same = load_volume([file], Preprocessing(phases=1), label=write(tmp_path / "l.nii.gz", label, affine))
    other = load_volume([file], Preprocessing(phases=1), label=tmp_path / "other.nii.gz")
    assert torch.equal(same.label, other.label)
    assert int(same.label.sum()) > 20


@pytest.mark.parametrize("origin", [(0.0, 0.0, 0.0), (30.2, -0.3, -17.0)])
@pytest.mark.parametrize("directions", [np.eye(3), LPS])
def test_volumes_survive_whole_ratios_of_spacings(origin, directions, tmp_path):
    # 2 mm slices become 1 mm slices, two of each; 0.5 mm pixels become 1 mm pixels.
    shape, affine = (16, 16, 11), affine_of(directions, (0.5, 1.0, 2.0), origin)
    label = np.zeros(shape, np.uint8)
    label[4:8, 3:8, 2:9:3] = 1
    volume = load_volume(
        [write(tmp_path / "c.nii", np.ones(shape, np.float32), affine)],
        Preprocessing(phases=1),
        label=write(tmp_path / "l.nii", label, affine),
    )
    assert volume.grid.shape == (8, 16, 22)
    assert int(volume.label.sum()) == int(label.sum())
    per_slice = volume.label[0].sum(dim=(0, 1)).reshape(11, 2)
    assert per_slice.tolist() == [[n, n] for n in (label.sum(axis=(0, 1)) // 2).tolist()]
    # Both grids fill the same box.
    outer = [grid.affine @ [*(np.array(grid.shape) / 2 - 0.5), 1.0] for grid in (volume.grid, volume.source)]
    np.testing.assert_allclose(outer[0], outer[1], atol=1e-5)


def test_rounded_affines_give_the_same_grid(tmp_path):
    # 40 voxels of 0.3125 mm span 12.5 mm: whether that makes 12 or 13 voxels turns on the affine's last digits.
    exact = affine_of(np.eye(3), (0.3125, 0.3125, 0.3125), (0.0, 0.0, 0.0))
    rounded = exact.copy()
    rounded[0, 0] += 4e-6
    shape = (40, 40, 40)
    image = np.random.default_rng(5).uniform(1, 2, shape).astype(np.float32)
    volume = load_volume(
        [write(tmp_path / "c.nii", image, exact)],
        Preprocessing(phases=1),
        label=write(tmp_path / "l.nii", np.ones(shape, np.uint8), rounded),
    )
    assert volume.label.shape == volume.image.shape == (1, 12, 12, 12)
    assert bool((volume.label == 1).all())
    assert volume.n_cropped == 0


def test_label_values(tmp_path):
    label = np.zeros((6, 6, 6), np.uint8)
    label[1], label[2], label[3] = 1, 2, 3
    image = write(tmp_path / "c.nii", np.ones((6, 6, 6), np.float32), np.eye(4))
    file = write(tmp_path / "l.nii", label, np.eye(4))
    counts = {
        values: int(
            load_volume([image], Preprocessing(phases=1, regions=Regions.of_values(values)), label=file).label.sum()
        )
        for values in ((1,), (1, 3), "any")
    }
    assert counts == {(1,): 36, (1, 3): 72, "any": 108}


def test_what_is_refused(tmp_path):
    ones = np.ones((6, 6, 6), np.float32)
    image = write(tmp_path / "c.nii", ones, np.eye(4))
    with pytest.raises(InputError, match="every voxel is 0"):
        load_volume([write(tmp_path / "z.nii", 0 * ones, np.eye(4))], Preprocessing(phases=1))
    with pytest.raises(GeometryError, match=r"label s\.nii is 6x6x5, .*the image 6x6x6, "):
        load_volume([image], Preprocessing(phases=1), label=write(tmp_path / "s.nii", ones[..., :5], np.eye(4)))
    moved = np.eye(4)
    moved[0, 3] = 0.5
    with pytest.raises(GeometryError, match=r"lie up to 0\.5 mm apart"):
        load_volume([image], Preprocessing(phases=1), label=write(tmp_path / "m.nii", ones, moved))
    with pytest.raises(InputError, match=r"looks like a probability map"):
        load_volume([image], Preprocessing(phases=1), label=write(tmp_path / "f.nii", ones / 2, np.eye(4)))
    with pytest.raises(GeometryError, match="its phases lie on different grids"):
        load_volume([image, tmp_path / "s.nii"], Preprocessing(phases=2))
    (tmp_path / "broken.nii.gz").write_bytes(b"not an image")
    with pytest.raises(InputError, match=r"broken\.nii\.gz: is not a NIfTI file"):
        load_volume([tmp_path / "broken.nii.gz"], Preprocessing(phases=1))
    with pytest.raises(InputError, match="absent"):
        load_volume([tmp_path / "absent.nii.gz"], Preprocessing(phases=1))


def test_voxels_that_are_not_finite_are_named_and_read_as_zero(tmp_path):
    image = np.full((6, 6, 6), 2.0, np.float32)
    image[0, 0, 0], image[5, 5, 5], image[1, 1, 1] = np.nan, np.inf, 4.0
    volume = load_volume([write(tmp_path / "n.nii", image, np.eye(4))], Preprocessing(phases=1))
    assert bool(torch.isfinite(volume.image).all())
    assert volume.notices == ("n.nii: 2 voxels are not finite and were read as 0",)


def test_a_description_survives_and_identifies():
    for settings in (
        Preprocessing(),
        Preprocessing(phases=2, spacing_mm=None, normalise="phase", regions=Regions.of_values("any")),
        Preprocessing(spacing_mm=(2.0, 2.0, 3.0), regions=Regions.of_values((1, 2))),
    ):
        assert Preprocessing.from_dict(settings.to_dict()) == settings
    digests = {Preprocessing().digest, Preprocessing(phases=2).digest, Preprocessing(spacing_mm=None).digest}
    assert len(digests) == 3


@pytest.mark.parametrize(
    "settings", [{"phases": 0}, {"spacing_mm": (1.0, 0.0, 1.0)}, {"spacing_mm": (1.0, 1.0)}, {"normalise": "image"}]
)
def test_settings_that_make_no_sense(settings):
    with pytest.raises(ConfigError):
        Preprocessing(**settings)
    with pytest.raises(ConfigError):
        Preprocessing.from_dict({"phases": 3})


def test_zero_hounsfield_units_are_image(tmp_path):
    """In CT 0 is water: normalised like its neighbours, and neither cropped away nor set to the mean."""
    rng = np.random.default_rng(0)
    units = np.full((20, 20, 20), -1000.0)
    units[4:16, 4:16, 4:16] = 40
    units[7:13, 7:13, 7:13] = 0
    units = np.rint(units + rng.normal(0, 3, units.shape)).astype(np.int16)
    volume = load_volume([write(tmp_path / "ct.nii.gz", units, np.eye(4))], Preprocessing(phases=1))
    expected = (units - units.mean()) / units.std()
    np.testing.assert_allclose(volume.image[0].numpy(), expected, atol=1e-4)
    # Registered and standardised MRI has values below 0, too, but lies in a frame of zeros.
    framed = np.zeros((20, 20, 20), np.float32)
    framed[5:15, 5:15, 5:15] = rng.normal(0, 1, (10, 10, 10))
    volume = load_volume([write(tmp_path / "mr.nii.gz", framed, np.eye(4))], Preprocessing(phases=1))
    assert volume.image.shape == (1, 10, 10, 10)


def test_every_format_of_an_audit_is_an_image(tmp_path):
    import SimpleITK

    values = np.random.default_rng(1).integers(1, 100, (8, 9, 10)).astype(np.float32)
    affine = affine_of(LPS, (0.7, 0.8, 2.2))
    nifti = write(tmp_path / "a.nii.gz", values, affine)
    image = SimpleITK.ReadImage(str(nifti))
    for suffix in (".mha", ".nrrd"):
        SimpleITK.WriteImage(image, str(tmp_path / f"a{suffix}"))
        same = load_volume([tmp_path / f"a{suffix}"], Preprocessing(phases=1))
        np.testing.assert_allclose(same.image, load_volume([nifti], Preprocessing(phases=1)).image, atol=1e-4)


@pytest.mark.parametrize(("shift", "same"), [(0.008, True), (0.012, False)])
def test_phases_and_label_may_lie_apart_by_rounding(tmp_path, shift, same):
    ones, moved = np.ones((6, 6, 6), np.float32), np.eye(4)
    moved[1, 3] = shift
    first = write(tmp_path / "a.nii", ones, np.eye(4))
    second = write(tmp_path / "b.nii", 2 * ones, moved)
    label = write(tmp_path / "l.nii", ones, moved)
    for files, settings, mark in (
        ([first, second], Preprocessing(phases=2), None),
        ([first], Preprocessing(phases=1), label),
    ):
        if same:
            assert load_volume(files, settings, label=mark).image.shape[0] == settings.phases
        else:
            with pytest.raises(GeometryError):
                load_volume(files, settings, label=mark)


@pytest.mark.parametrize("degrees", [10, 25])
def test_a_tilted_gantry_is_set_upright(tmp_path, degrees):
    angle = np.deg2rad(degrees)
    affine = affine_of(np.eye(3), (0.8, 0.8, 2.0))
    affine[:3, 2] = 2.0 * np.array([0, np.sin(angle), np.cos(angle)])
    shape = (36, 34, 22)
    marked = lesion(shape, affine, radius_mm=8.0)
    image = write(tmp_path / "c.nii", (100 + 50 * marked).astype(np.float32), affine)
    label = write(tmp_path / "l.nii", marked, affine)
    volume = load_volume([image], Preprocessing(phases=1, spacing_mm=(1.0, 1.0, 1.0)), label=label)
    steps = volume.grid.affine[:3, :3]
    np.testing.assert_allclose(steps.T @ steps, np.eye(3), atol=1e-6)
    # Millilitres are those of the file's true voxels, and nothing lies outside of the upright box.
    expected = marked.sum() * abs(np.linalg.det(affine[:3, :3]))
    assert int(volume.label.sum()) == pytest.approx(expected, rel=0.02)
    corners = np.array(list(itertools.product(*[(0, side - 1) for side in shape])))
    places = corners @ affine[:3, :3].T + affine[:3, 3]
    inside = (places - volume.grid.affine[:3, 3]) @ steps
    assert (inside > -0.5 - 1e-6).all()
    assert (inside < np.array(volume.grid.shape) - 0.5 + 1e-6).all()
    # Back on the tilted grid of the file it is the same lesion.
    back = restore(volume.label[0].numpy().astype(np.float32), volume.grid, volume.source)
    assert dice(back, marked > 0) > 0.93
    with pytest.raises(InputError, match="not at right angles"):
        load_volume([image], Preprocessing(phases=1, spacing_mm=None))


def test_a_picture_is_a_volume_of_one_slice_and_stays_one(tmp_path):
    rng = np.random.default_rng(0)
    picture, label = rng.integers(1, 200, (9, 7)).astype(np.uint8), np.zeros((9, 7), np.uint8)
    label[2:5, 3:6] = 255
    for suffix in (".png", ".tif"):
        Image.fromarray(picture.T).save(tmp_path / f"i{suffix}")
        Image.fromarray(label.T).save(tmp_path / f"l{suffix}")
    np.save(tmp_path / "i.npy", picture)
    np.save(tmp_path / "l.npy", np.minimum(label, 1))
    kept = Preprocessing(phases=1, spacing_mm=None)
    volumes = {
        suffix: load_volume(
            [tmp_path / f"i{suffix}"], kept, label=tmp_path / f"l{suffix}", white_is_one=suffix != ".npy"
        )
        for suffix in (".png", ".tif", ".npy")
    }
    expected = (picture - picture.mean(dtype=float)) / picture.std(dtype=float)
    for volume in volumes.values():
        np.testing.assert_allclose(volume.image[0, :, :, 0], expected, atol=1e-5)
        np.testing.assert_array_equal(volume.label[0, :, :, 0], label > 0)
        assert torch.equal(volume.image, volumes[".png"].image), "bit for bit in every format"
    finer = load_volume([tmp_path / "i.png"], Preprocessing(1, (0.5, 0.5, 0.5)), label=tmp_path / "l.npy")
    assert finer.image.shape == (1, 18, 14, 1), "one slice stays one"
    mask = restore(finer.label[0].numpy().astype(np.float32), finer.grid, finer.source)
    np.testing.assert_array_equal(mask[..., 0], label > 0)


def test_colours_are_phases(tmp_path):
    colours = np.random.default_rng(1).integers(1, 200, (6, 5, 3)).astype(np.uint8)
    Image.fromarray(colours).save(tmp_path / "c.png")
    volume = load_volume([tmp_path / "c.png"], Preprocessing(phases=3, spacing_mm=None))
    assert volume.image.shape == (3, 5, 6, 1)
    grey = np.repeat(colours[..., :1], 3, axis=2)
    Image.fromarray(grey).save(tmp_path / "g.png")
    three, one = (load_volume([tmp_path / "g.png"], Preprocessing(n, None)).image for n in (3, 1))
    torch.testing.assert_close(three[1:2], one)
    two = load_volume([tmp_path / "g.png", tmp_path / "g.png"], Preprocessing(2, None)).image
    assert two.shape[0] == 2, "a grey file in colour is one phase of several"


def test_regions_and_ignored_voxels_become_targets_after_resampling(tmp_path):
    label = np.zeros((8, 8, 8), np.uint8)
    label[1:7, 1:7, 1:7], label[2:6, 2:6, 2:6], label[7] = 1, 2, 9
    file = write(tmp_path / "l.nii", label, np.diag([2.0, 2.0, 2.0, 1.0]))
    image = write(tmp_path / "i.nii", np.ones(label.shape, np.float32), np.diag([2.0, 2.0, 2.0, 1.0]))
    rules = load_protocol("default").replace(regions={"whole": (1, 2), "core": (2,)}, ignore_label=9)
    volume = load_volume([image], Preprocessing(phases=1, regions=Regions.of_protocol(rules)), label=file)
    fine = label.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(volume.label.numpy() == 1, np.stack([np.isin(fine, (1, 2)), fine == 2]))
    np.testing.assert_array_equal(volume.label.numpy()[1] == IGNORED, fine == 9)


def test_outside_of_a_box_nothing_counts(tmp_path):
    """The label in another orientation than the image; the box along the image's axes."""
    affine = affine_of(LPS, (1.0, 1.0, 1.0))
    label = np.zeros((8, 7, 6), np.uint8)
    label[1:4, 2:5, 2:4] = 1
    image = write(tmp_path / "i.nii", np.ones(label.shape, np.float32), affine)
    flipped = affine @ np.array([[-1, 0, 0, 7], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    file = write(tmp_path / "l.nii", label[::-1], flipped)
    box = BreastBox(((2, 20), (0, 7), (0, 6)))
    target = load_volume([image], Preprocessing(phases=1), label=file, box=box).label[0].numpy()[::-1, ::-1]
    np.testing.assert_array_equal(target[2:], label[2:], err_msg="inside as it is, whatever the box reaches beyond")
    assert (target[:2] == IGNORED).all()
    beyond = BreastBox(((9, 10), (0, 7), (0, 6)))
    whole = load_volume([image], Preprocessing(phases=1), label=file, box=beyond).label
    assert torch.equal(whole, load_volume([image], Preprocessing(phases=1), label=file).label), "made for another image"


def test_a_lesion_that_resampling_loses_is_named_and_none_at_all_is_fine(tmp_path):
    label = np.zeros((9, 9, 9), np.uint8)
    image = write(tmp_path / "i.nii", np.ones(label.shape, np.float32), np.eye(4))
    coarse = Preprocessing(phases=1, spacing_mm=(3.0, 3.0, 3.0))
    none = load_volume([image], coarse, label=write(tmp_path / "n.nii", label, np.eye(4)))
    assert not none.label.any()
    label[0, 0, 0] = 1
    with pytest.raises(
        InputError, match=r"l\.nii: its lesion of 1 voxels is lost by resampling to 3 x 3 x 3 mm; choose"
    ):
        load_volume([image], coarse, label=write(tmp_path / "l.nii", label, np.eye(4)))


def test_checkpoints_of_one_label_are_still_read():
    tree = {"phases": 2, "spacing_mm": [1, 1, 1], "normalise": "case", "label": [2]}
    assert Preprocessing.from_dict(tree).regions == Regions.of_values((2,))
    assert Preprocessing.from_dict({**tree, "label": "any"}).regions == Regions.of_values("any")


def test_a_region_that_resampling_loses_is_named_where_another_survives(tmp_path):
    label = np.zeros((24, 24, 24), dtype=np.uint8)
    label[4:20, 4:20, 4:20] = 1
    label[11, 11, 11] = 2
    write_image(
        tmp_path / "i.nii.gz", np.random.default_rng(0).normal(size=label.shape).astype(np.float32), affine=np.eye(4)
    )
    write_mask(tmp_path / "l.nii.gz", label, affine=np.eye(4))
    regions = Regions((Region("liver", (1, 2), 1), Region("tumour", (2,), 2)))
    made = load_volume(
        [tmp_path / "i.nii.gz"], Preprocessing(1, (4.0, 4.0, 4.0), regions=regions), label=tmp_path / "l.nii.gz"
    )
    assert made.notices == ("l.nii.gz: tumour is lost by resampling; a finer --spacing keeps it",)


def test_black_is_a_value_of_a_picture(tmp_path):
    pixels = np.random.default_rng(0).integers(1, 255, (20, 16), dtype=np.uint8)
    pixels[:, :6] = 0
    Image.fromarray(pixels).save(tmp_path / "p.png")
    made = load_volume([tmp_path / "p.png"], Preprocessing(1, None)).image.numpy()[0, ..., 0]
    assert made.shape == (16, 20), "nothing is cropped"
    np.testing.assert_allclose(made, ((pixels - pixels.mean()) / pixels.std()).T, atol=1e-4)
