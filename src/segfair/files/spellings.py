"""How one id is spelt in two places: as text, in another letter case, as a file's name or path, as a number.

Pairs texts only where nothing else comes into question, and says how. Reads no file and knows no table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache

from segfair.files.images.masks import MASK_SUFFIXES

__all__ = [
    "AS_FILE",
    "AS_LETTERS",
    "AS_NUMBER",
    "AS_PATIENT",
    "AS_TEXT",
    "FILE",
    "FILES",
    "LETTERS",
    "TEXT",
    "Ids",
    "Rung",
    "Spellings",
    "by_number",
    "id_stem",
    "name_key",
    "number_key",
    "pair_patients",
    "pair_spellings",
]

# What pictures are called besides masks; a table may name the image of a case instead of its mask.
_IMAGE_SUFFIXES = (".npy", ".h5", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm", ".img", ".hdr")
_FIRST_CHANNEL = "_0000"
_NUMBER = re.compile(r"(?P<prefix>(?:\D*[^\W\d_][-_. ]*)?)0*(?P<number>\d+)(?:\.0+)?")
_BOUNDARY = re.compile(r"[-_. ]")
# Words before a number that say what is numbered, and tell nobody apart.
_NUMBERED = frozenset(
    (
        *("case", "cases", "sub", "subj", "subject", "patient", "patients", "pat", "pt", "p", "participant"),
        *("id", "image", "img", "scan", "study", "volume", "vol", "no", "nr"),
    )
)
# What a file name says of a mask beside the id of its case.
_ROLE = r"(?:seg|segmentation|masks?|labels?|gt|ground[-_ ]?truth|preds?|prediction|output|annotation|roi|lesion)"
_ROLES = re.compile(rf"^(?:{_ROLE}[-_. ]+)+|(?:[-_. ]+{_ROLE})+$", re.IGNORECASE)
# BIDS entities that tell a file from others of the same study, not one study from another.
_BIDS = re.compile(r"sub-[a-z0-9]+(_[a-z0-9]+-[a-z0-9.+]+)*(_[a-z0-9]+)?", re.IGNORECASE)
_BIDS_OF_FILE = ("desc-", "label-", "space-", "res-", "den-", "seg-", "model-", "hemi-")

AS_TEXT, AS_LETTERS, AS_FILE = "as text", "in another letter case", "by file name"
AS_NUMBER, AS_PATIENT = "by number", "by patient"


@dataclass(frozen=True, slots=True)
class Rung:
    """One way of comparing: its name in notices, and what two spellings of one id share."""

    name: str
    key: Callable[[str], str]


def by_number(ids: Iterable[str]) -> Rung:
    """The rung on which `DUKE_001` and `1` are one id, where all ids bear one prefix; else only `case_001` and `1`."""
    prefix = cache(lambda: shared_prefix(ids))
    return Rung(AS_NUMBER, lambda text: number_key(text, prefix()))


@dataclass(frozen=True, slots=True)
class Spellings:
    """Which spelling belongs to which id.

    Attributes:
        partner: Id -> its spelling on the other side; ids without one are left out.
        how: Id -> the name of the rung on which it was found.
        ambiguous: Id -> spellings that could be its own or another's, or are several: none is taken.
    """

    partner: Mapping[str, str]
    how: Mapping[str, str] = field(default_factory=dict)
    ambiguous: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def name_key(name: str) -> str:
    """What two spellings of the name of a structure share: case, blanks, `_` and `-` do not count."""
    return re.sub(r"[\s_-]+", " ", name.casefold()).strip()


def id_stem(text: str) -> str:
    """The last part of a path without the ending of a mask or image file; any other text as it is."""
    if "." not in text and "/" not in text and "\\" not in text:
        return text
    name = re.split(r"[/\\]", text)[-1]
    lower = name.lower()
    suffix = next((suffix for suffix in (*MASK_SUFFIXES, *_IMAGE_SUFFIXES) if lower.endswith(suffix)), "")
    return (name[: -len(suffix)] if suffix else name) or text


def file_key(text: str) -> str:
    """What `Case_01`, `case_01.nii.gz`, `/data/CASE_01.nii.gz` and nnU-Net's `case_01_0000.nii.gz` share."""
    stem = id_stem(text).casefold()
    return stem.removesuffix(_FIRST_CHANNEL) if stem != text.casefold() else stem


@lru_cache(1 << 16)
def role_key(text: str) -> str:
    """What `P1`, `P1_seg`, `pred-P1` and `p1_lesion_mask` share."""
    key = file_key(text)
    return _ROLES.sub("", key) or key


@lru_cache(1 << 16)
def padded_key(text: str) -> str:
    """What `12`, `12.0` and `0012` share, or `case_1`, `CASE_001` and `case_01_mask`."""
    key = role_key(text)
    number = _NUMBER.fullmatch(key)
    return f"{number['prefix']}{number['number']}" if number else key


@lru_cache(1 << 16)
def bids_key(text: str) -> str:
    """The entities of a BIDS name that tell studies apart: `sub-01_ses-02` of `sub-01_ses-02_label-lesion_mask`."""
    key = file_key(text)
    if not _BIDS.fullmatch(key):
        return key
    entities = [part for part in key.split("_") if "-" in part and not part.startswith(_BIDS_OF_FILE)]
    return "_".join(entities)


@lru_cache(1 << 16)
def number_key(text: str, own_prefix: str = "") -> str:
    """What `01`, `sub-01`, `case_01` and `1.0` share: the number, without a word that only says what is numbered.

    Args:
        text: An id.
        own_prefix: A prefix (see `shared_prefix`) that is left out as well.
    """
    key = role_key(text)
    number = _NUMBER.fullmatch(key)
    if number is None:
        return key
    prefix = number["prefix"]
    plain = not prefix or prefix == own_prefix or prefix.strip("-_. ") in _NUMBERED
    return number["number"] if plain else padded_key(text)


def shared_prefix(ids: Iterable[str]) -> str:
    """What stands before the number in every id (`duke_` of `DUKE_001` and `DUKE_002`); empty where that differs."""
    numbers = [_NUMBER.fullmatch(role_key(name)) for name in ids]
    prefixes = {number["prefix"] if number else "" for number in numbers}
    return prefixes.pop() if len(prefixes) == 1 else ""


TEXT = Rung(AS_TEXT, str)
LETTERS = Rung(AS_LETTERS, str.casefold)
FILE = Rung(AS_FILE, file_key)
FILES = (
    TEXT,
    Rung("without nnU-Net's _0000", lambda text: text.removesuffix(_FIRST_CHANNEL)),
    LETTERS,
    Rung("without words such as mask and pred", role_key),
    Rung("with other leading zeros", padded_key),
    Rung("by BIDS entities", bids_key),
)
"""How the masks of two folders pair. A number alone does not: predictions that are numbered by a loader would pair with
other patients, one off."""


@dataclass(frozen=True, slots=True)
class Ids:
    """Ids that are sought in several columns: what they share with spellings is worked out once.

    Attributes:
        names: The ids, each once, composed (NFC).
    """

    names: Sequence[str]
    _keys: dict[Rung, list[str]] = field(default_factory=dict)

    def by_key(self, rung: Rung, *, among: Collection[str]) -> dict[str, list[str]]:
        """Key on a rung -> the ids that have it, of some keys."""
        if rung not in self._keys:
            self._keys[rung] = list(map(rung.key, self.names))
        keys = self._keys[rung]
        return _grouped((key, name) for name, key in zip(self.names, keys, strict=True) if key in among)


def pair_spellings(wanted: Sequence[str] | Ids, offered: Iterable[str], rungs: Sequence[Rung]) -> Spellings:
    """Pairs ids with spellings, rung by rung, the strictest first.

    What finds no partner on one rung may find it on the next. Two texts pair on a rung where just one id and just one
    spelling of all share a key; an exact pair is never taken apart again.

    Args:
        wanted: Ids, each once, composed (NFC); as `Ids` where they are sought more than once.
        offered: Spellings, in any number, composed (NFC); empty ones pair with nothing.
        rungs: How to compare.
    """
    spellings = dict.fromkeys(text for text in offered if text)
    ids_sought = wanted if isinstance(wanted, Ids) else Ids(wanted)
    wanted = ids_sought.names
    partner: dict[str, str] = {}
    how: dict[str, str] = {}
    ambiguous: dict[str, tuple[str, ...]] = {}
    for rung in rungs:
        if len(partner) == len(wanted):
            break
        if rung is TEXT and not partner:
            partner = {name: name for name in wanted if name in spellings}
            how = dict.fromkeys(partner, rung.name)
            continue
        texts = _by_key(spellings, rung)
        ids = ids_sought.by_key(rung, among=texts)
        for key, sharing in ids.items():
            waiting = [name for name in sharing if name not in partner]
            found = texts[key]
            if not waiting:
                continue
            if len(sharing) == len(found) == 1:
                partner[sharing[0]], how[sharing[0]] = found[0], rung.name
            else:
                for name in waiting:
                    ambiguous.setdefault(name, tuple(found))
    return Spellings(
        {name: partner[name] for name in wanted if name in partner},
        {name: how[name] for name in wanted if name in how},
        {name: texts for name, texts in ambiguous.items() if name not in partner},
    )


def pair_patients(wanted: Sequence[str], offered: Iterable[str]) -> Spellings:
    """Pairs ids of studies with spellings of patients: `sub-01_ses-02` with `sub-01` or `01`, `P7.left` with `P7`.

    A patient may have several studies. The longest beginning of an id that is somebody's spelling decides; where
    that could be two spellings, none is taken. A beginning without a digit (`DUKE` of `DUKE_001`) names a place.

    Args:
        wanted: Ids of studies, each once.
        offered: Spellings of patients.
    """
    spellings = dict.fromkeys(text for text in offered if text)
    rungs = (LETTERS, FILE, Rung(AS_NUMBER, number_key))
    by_rung = [_by_key(spellings, rung) for rung in rungs]
    partner: dict[str, str] = {}
    ambiguous: dict[str, tuple[str, ...]] = {}
    for name in wanted:
        ends = [match.start() for match in _BOUNDARY.finditer(name)][::-1]
        beginnings = [name[:end] for end in ends if any(letter.isdigit() for letter in name[:end])]
        for rung, texts in zip(rungs, by_rung, strict=True):
            found = next((texts[key] for text in beginnings if (key := rung.key(text)) in texts), [])
            if len(found) == 1:
                partner[name] = found[0]
            elif found:
                ambiguous[name] = tuple(found)
            if found:
                break
    return Spellings(partner, dict.fromkeys(partner, AS_PATIENT), ambiguous)


def _by_key(texts: Iterable[str], rung: Rung) -> dict[str, list[str]]:
    return _grouped((rung.key(text), text) for text in texts)


def _grouped(keyed: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, text in keyed:
        found.setdefault(key, []).append(text)
    return found
