"""Scores of earlier runs in a folder: what was scored from the same files under the same rules is not scored again.

An entry is a file named after what it depends on: the bytes of both masks, the rules, and the code that scores. It
holds no case id and no path. Decides nothing about masks; a cache that cannot be used costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from segfair.cases import Case
from segfair.errors import InputError, in_words
from segfair.files import dicom, images
from segfair.files.images.contents import content_digest
from segfair.files.placing import placed_whole
from segfair.protocol.rules import Protocol
from segfair.scoring.lesions.measures import Lesion
from segfair.scoring.reading import refuse_links
from segfair.scoring.scores import CaseScore

__all__ = [
    "EMPTY",
    "Rules",
    "ScoreCache",
    "contents_of_label",
    "contents_of_prediction",
    "names_a_file",
    "scorer_digest",
]

EMPTY = "a mask without a voxel"
"""In place of the digest of a prediction."""
NOTHING = "no file"
# What a protocol says beside how two masks are scored.
_SCORES_NOTHING = ("name", "fairness", "attributes", "gates")
# Whose arithmetic and readers scores rest on.
_LIBRARIES = ("numpy", "scipy", "nibabel", "SimpleITK", "pillow", "numba", "zlib-ng", "pydicom")
# What other tools take for a sign that a folder need not be kept: bford.info/cachedir.
_TAG = ("CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# Scores kept by segfair; may be deleted.\n")


@functools.cache
def scorer_digest() -> str:
    """SHA-256 of the code that reads and scores masks, and of the versions of the libraries that it rests on.

    Taken from the source itself, so that no change of it can be forgotten.
    """
    found = hashlib.sha256()
    for folder in (Path(__file__).parent, Path(images.__path__[0]), Path(dicom.__path__[0])):
        for module in sorted(folder.rglob("*.py")):
            found.update(module.relative_to(folder).as_posix().encode() + b"\0" + module.read_bytes())
    for library in _LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found.update(f"{library} {metadata.version(library)}\n".encode())
    return found.hexdigest()


@dataclass(frozen=True, slots=True)
class Rules:
    """How masks are scored, as `segfair.scoring.cohort.score_cohort` has it, and whether probabilities are, too."""

    protocol: Protocol
    threshold: float | None = None
    spacing_mm: tuple[float, ...] | None = None
    with_probabilities: bool = False
    other_tools: bool = False


@dataclass(slots=True)
class ScoreCache:
    """A folder of scores, and what came of it in one run.

    Workers get a copy; only that of the process which gathers the scores counts.

    Attributes:
        folder: Where entries lie; made with the first.
        scorer: Digest of the code that scores.
        n_found: Predictions whose scores lay there.
        n_scored: Predictions that were scored.
        problem: Why scores could not be kept; empty where they were.
    """

    folder: Path
    scorer: str = field(default_factory=scorer_digest)
    n_found: int = 0
    n_scored: int = 0
    problem: str = ""

    def __post_init__(self) -> None:
        # A worker may live in another folder.
        self.folder = Path(os.path.abspath(self.folder))  # noqa: PTH100 - resolve() would follow links

    def key(self, case: Case, rules: Rules, label: str, prediction: str) -> str:
        """What the score of a case depends on, as a digest.

        Args:
            case: Says how its pictures and DICOM objects are meant.
            rules: How it is scored.
            label: What `contents_of_label` says.
            prediction: What `contents_of_prediction` says.
        """
        protocol = {name: rule for name, rule in rules.protocol.to_dict().items() if name not in _SCORES_NOTHING}
        meant = {role: dataclasses.asdict(how) for role, how in sorted(case.dicom.items())}
        given = [rules.threshold, rules.spacing_mm, sorted(case.white), *([meant] if meant else [])]
        depends = [self.scorer, protocol, *given, label, prediction, *case.structures, rules.other_tools]
        if rules.with_probabilities:
            depends.append(contents_of_probabilities(case))
        return hashlib.sha256(json.dumps(depends).encode()).hexdigest()

    def find(self, key: str) -> CaseScore | None:
        """The score kept under a key, without its case id; None where there is none, or it is damaged."""
        try:
            digest, _, body = self._place(key).read_text("utf-8").partition("\n")
        except (OSError, UnicodeDecodeError):
            return None
        return _score(json.loads(body)) if digest == _digest(body) else None

    def keep(self, key: str, score: CaseScore) -> str:
        """Writes an entry, whole or not at all.

        Returns:
            Why it could not be written; empty where it was.
        """
        tree = {name: value for name, value in dataclasses.asdict(score).items() if name != "case"}
        body = json.dumps(tree, default=lambda number: number.item())
        place = self._place(key)
        try:
            self._make(place.parent)
            with placed_whole(place) as unfinished:
                unfinished.write_text(f"{_digest(body)}\n{body}", "utf-8")
        except OSError as error:
            return in_words(error)
        return ""

    def count(self, n: int, *, n_found: int, problem: str = "") -> None:
        """Adds what came of `n` predictions."""
        self.n_found += n_found
        self.n_scored += n - n_found
        self.problem = self.problem or problem

    def sentence(self, what: str) -> str:
        """What the cache was good for, and what is wrong with it; `what` are the things that were scored."""
        total = self.n_scored + self.n_found
        told = f"scored {self.n_scored:,} of {total:,} {what}, {self.n_found:,} from the cache {self.folder}"
        if self.problem:
            told += f"; new scores are not kept, for it cannot be written ({self.problem}): name another with --cache"
        return told

    def _place(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key[2:]}.json"

    def _make(self, folder: Path) -> None:
        if folder.is_dir():
            return
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (_TAG, (".gitignore", "*\n")):
            if not (self.folder / name).exists():
                (self.folder / name).write_text(text, "utf-8")


def contents_of_label(case: Case) -> str | None:
    """A digest of a label's files; None where they cannot be read, of which scoring has more to say."""
    return None if case.label is None else _contents(case.label, None)


def contents_of_prediction(case: Case) -> str | None:
    """The same of a prediction, which may be absent; None as well for a file that is not its own."""
    if case.prediction is None:
        return NOTHING
    try:
        refuse_links(case)
    except InputError:
        return None
    return _contents(case.prediction, case.within)


def contents_of_probabilities(case: Case) -> str:
    """The same of a probability map; of one that cannot be read, which scoring names, where it should be."""
    if case.probabilities is None:
        return NOTHING
    return _contents(case.probabilities, None) or str(case.probabilities)


def names_a_file(score: CaseScore, case: Case) -> bool:
    """Whether a penalty speaks of a file by its path, so that it holds for this case and this run alone."""
    told = (score.penalised or "") + score.no_probabilities
    paths = (case.label, case.prediction, case.probabilities)
    return any(str(path) in told for path in paths if path is not None)


def _contents(path: Path, within: Path | None) -> str | None:
    try:
        return content_digest(path, within=within)
    except (OSError, InputError):
        return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _score(tree: dict[str, Any]) -> CaseScore:
    in_label, in_prediction = tree.pop("values_found")
    lesions = tree.pop("lesions")
    calibration = tree.pop("calibration")
    return CaseScore(
        **{**tree, "case": "", "alerts": tuple(tree["alerts"]), "lesions": tuple(Lesion(**of) for of in lesions)},
        values_found=(tuple(in_label), tuple(in_prediction)),
        calibration=tuple((n, probability, lesion) for n, probability, lesion in calibration),
    )
