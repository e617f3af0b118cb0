"""Headers as metadata: ages in years, what is asked for, and nothing that says who somebody is."""

from __future__ import annotations

import pytest

pytest.importorskip("pydicom")

from pydicom.dataset import Dataset

from segfair.errors import ConfigError
from segfair.files.dicom.attributes import ATTRIBUTES, attributes_of, chosen_attributes, merged, years


@pytest.mark.parametrize(
    ("age", "wanted"),
    [("045Y", 45), ("018M", 1.5), ("052W", 0.997), ("010D", 0.027), ("90Y", 90), ("097Y", 90), (" 7y ", 7)],
)
def test_ages_are_years_and_90_at_most(age, wanted):
    assert years(age) == wanted


@pytest.mark.parametrize("age", ["", "45", "Y", "04 5Y", "1960", "-05Y", "0045Y"])
def test_what_is_no_age_is_missing(age):
    assert years(age) is None


def header(**values) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def test_what_a_header_says_and_what_it_does_not():
    found = attributes_of(
        header(PatientSex="F", PatientAge="061Y", Manufacturer=" Acme\n ", KVP="120", PixelSpacing=[0.5, 0.7])
    )
    assert {name: value for name, value in found.items() if value is not None} == {
        "sex": "F",
        "age": 61,
        "manufacturer": "Acme",
        "kvp": 120,
        "pixel_spacing_mm": 0.5,
    }


def test_nobody_is_named():
    secret = "Secret"
    identifying = header(
        PatientName=secret,
        PatientID=secret,
        PatientBirthDate="19600101",
        InstitutionName=secret,
        StudyDescription=secret,
        ReferringPhysicianName=secret,
        AccessionNumber=secret,
        PatientComments=secret,
    )
    assert set(attributes_of(identifying).values()) == {None}


def test_names_are_chosen():
    assert chosen_attributes("sex, Age,sex") == ("sex", "age")
    assert chosen_attributes("all") == tuple(ATTRIBUTES)
    with pytest.raises(
        ConfigError, match=r"--dicom-attributes sx: unknown \(did you mean sex\?\); known are all, or of"
    ):
        chosen_attributes("sx")
    with pytest.raises(ConfigError, match="names none"):
        chosen_attributes(" ,")


def test_the_scanner_is_that_of_the_image_and_never_of_the_mask():
    mask, image = {"sex": "F", "manufacturer": "Model maker"}, {"sex": None, "manufacturer": "Acme"}
    assert merged(mask, image, ["sex", "manufacturer"]) == {"sex": "F", "manufacturer": "Acme"}
    assert merged(mask, None, ["sex", "manufacturer"]) == {"sex": "F", "manufacturer": None}
