"""Pictures and stacks of pages: where axes lie, what colours become, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from segfair.errors import InputError
from segfair.files.images.masks import count_channels, has_size, read_channels, read_image, read_mask

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)
"""Three rows of four pixels, as pictures have them."""


def save(path: Path, *pages: np.ndarray) -> Path:
    first, *rest = [Image.fromarray(page) for page in pages]
    first.save(path, **({"save_all": True, "append_images": rest} if rest else {}))
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("suffix", [".tif", ".TIFF"])
def test_a_tiff_of_one_page_is_a_picture_of_its_values(tmp_path: Path, suffix: str, dtype: type) -> None:
    file = save(tmp_path / f"a{suffix}", (GREY * 20).astype(dtype))
    mask = read_mask(file)
    np.testing.assert_array_equal(mask.array, (GREY * 20).T)
    assert not mask.has_size
    assert has_size(file) is False
    np.testing.assert_array_equal(read_image(file).array, (GREY * 20).T)
    assert count_channels(file) == 1


def test_the_pages_of_a_tiff_are_slices(tmp_path: Path) -> None:
    file = save(tmp_path / "a.tif", GREY, GREY + 20, GREY + 40)
    mask = read_mask(file)
    assert mask.array.shape == (4, 3, 3)
    np.testing.assert_array_equal(mask.array[..., 1], (GREY + 20).T)
    np.testing.assert_array_equal(read_channels(file)[0].array, mask.array)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_colours_are_channels_of_an_image_and_no_label(tmp_path: Path, suffix: str) -> None:
    colours = np.stack([GREY, GREY + 1, GREY + 2], axis=2)
    file = save(tmp_path / f"a{suffix}", colours)
    channels = read_channels(file)
    assert [channel.array.shape for channel in channels] == [(4, 3)] * 3
    np.testing.assert_array_equal(channels[2].array, (GREY + 2).T)
    assert count_channels(file) == 3
    luminance = 0.299 * GREY + 0.587 * (GREY + 1) + 0.114 * (GREY + 2)
    np.testing.assert_allclose(read_image(file).array, luminance.T, rtol=1e-6)
    with pytest.raises(InputError, match="is a colour picture"):
        read_mask(file)


def test_a_grey_picture_stored_in_colour_has_one_channel(tmp_path: Path) -> None:
    opaque = np.full_like(GREY, 255)
    file = save(tmp_path / "a.png", np.stack([GREY, GREY, GREY, opaque], axis=2))
    assert count_channels(file) == 1
    assert len(read_channels(file)) == 3, "who wants three takes the same three times"
    np.testing.assert_array_equal(read_mask(file).array, GREY.T)


def test_white_is_one_in_tiff_as_in_png(tmp_path: Path) -> None:
    file = save(tmp_path / "a.tif", np.where(GREY > 5, 255, 0).astype(np.uint8))
    assert set(np.unique(read_mask(file).array)) == {0, 255}
    np.testing.assert_array_equal(read_mask(file, white_is_one=True).array, (GREY > 5).T)


def test_pages_of_several_sizes_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.tif: its pages differ in size or kind \(3x3 and 4x3\)"):
        read_mask(save(tmp_path / "a.tif", GREY, GREY[:, :3]))
    whole = save(tmp_path / "b.tif", np.zeros((50, 50), np.uint8)).read_bytes()
    (tmp_path / "b.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"b\.tif: cannot be read as TIF"):
        read_mask(tmp_path / "b.tif")


def test_a_bare_numpy_array_is_read_as_it_is_stored(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    np.save(tmp_path / "a.npy", array)
    mask = read_mask(tmp_path / "a.npy")
    np.testing.assert_array_equal(mask.array, array)
    assert not mask.has_size
    assert has_size(tmp_path / "a.npy") is False
    np.save(tmp_path / "c.npy", np.stack([array, -array], axis=3))
    assert count_channels(tmp_path / "c.npy") == 2
    np.testing.assert_array_equal(read_channels(tmp_path / "c.npy")[1].array, -array)
    np.save(tmp_path / "o.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(InputError, match=r"o\.npy: cannot be read as \.npy"):
        read_mask(tmp_path / "o.npy")


def test_a_truncated_picture_is_refused_though_another_library_told_pillow_to_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)  # as importing WeasyPrint does
    whole = save(tmp_path / "b.tif", np.zeros((50, 50), np.uint8)).read_bytes()
    (tmp_path / "b.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"b\.tif: cannot be read as TIF"):
        read_mask(tmp_path / "b.tif")
    assert ImageFile.LOAD_TRUNCATED_IMAGES, "the other library finds its own again"
