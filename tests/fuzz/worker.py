"""One reader under atheris: `python -m tests.fuzz.worker READER FOLDER SECONDS`; called by `tests.fuzz.run`.

What leaves a reader is kept in FOLDER/found, one input a place in the source, and the run goes on; a crash of the
process, a hang and too much memory end it.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
import time
import tomllib
import traceback
from collections import Counter
from pathlib import Path

import atheris
import tomli_w

from tests.fuzz.forms import Form, attempt
from tests.fuzz.mutation import mutated

__all__ = ["RSS_MB"]

RSS_MB = 1024
"""All of the process may take so much."""
_SPACE = 2**30
"""Address space beyond that of the libraries; what is taken at once is refused here, before it is filled."""
_LONGEST = 1 << 16
_CPU_SECONDS = 5.0
_WALL_SECONDS = 60
_TREES = {".json": (json.loads, json.dumps), ".toml": (tomllib.loads, tomli_w.dumps)}
_WORDS = (
    "type", "dimension", "sizes", "encoding", "gzip", "bzip2", "ascii", "hex", "raw", "endian", "space directions", "spacings",
    "data file", "byte skip", "line skip", "LIST", "%03d", "NDims", "DimSize", "ElementType", "MET_SHORT", "LOCAL",
    "ElementDataFile", "CompressedData", "HeaderSize", "ElementSpacing", "TransformMatrix", "1e999", "NaN", "Infinity",
    "99999999999999999999", "[[[[", "]]", "{", "}", "null", "inf", "-inf", " and ", " or ", " not ", " in ", " is None", "**",
    "==", ">=", "col[", "`", "worst(", "within(", "=tree", "r=", "<row ", "<c ", "t=", "inlineStr", "A1048577", "'descr'",
    "'fortran_order'", "'shape'", "<f8", "O", "\r\n", "\t", ";", "sep=", "=\"", "\\u", "\\", "0x", "'''", '"""',
)  # fmt: skip


class _Run:
    """Counts, and inputs that are worth keeping."""

    def __init__(self, forms: list[Form], folder: Path) -> None:
        self.forms, self.folder = forms, folder
        self.counts: Counter[str] = Counter()
        self.found: dict[str, str] = {}
        self.place = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.written = 0.0

    def one(self, data: bytes) -> None:
        if not data:
            return
        form = self.forms[data[0] % len(self.forms)]
        began = time.process_time()
        try:
            outcome = attempt(form, data[1:], self.place)
        except Exception as error:
            outcome = "failed"
            self.keep(data, form, error)
        if (spent := time.process_time() - began) > _CPU_SECONDS:
            self.keep(data, form, TimeoutError(f"{spent:.1f} s"))
        self.counts[outcome] += 1
        if time.monotonic() - self.written > 1:
            self.write()

    def keep(self, data: bytes, form: Form, error: Exception) -> None:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/segfair/" in frame.filename]
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else str(error)[:80]
        key = f"{form.name}: {type(error).__name__} at {where}"
        if key not in self.found:
            self.found[key] = "".join(traceback.format_exception(error))[-3000:]
            (self.folder / "found" / f"{len(self.found):03d}").write_bytes(data)
            print(f"\n== {key} (found/{len(self.found):03d})\n{self.found[key]}", flush=True)
            self.write()

    def write(self) -> None:
        self.written = time.monotonic()
        (self.folder / "counts.json").write_text(json.dumps({**self.counts, "found": self.found}))


def _mutate(forms: list[Form]) -> object:
    """Bytes as libFuzzer changes them; of JSON and TOML every other time the tree."""

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        suffix = Path(forms[data[0] % len(forms)].name).suffix if data else ""
        if suffix in _TREES and rng.random() < 0.6:
            load, dump = _TREES[suffix]
            try:
                tree = mutated(load(data[1:].decode("utf-8")), rng, rng.choice((1, 1, 2, 4)))
                changed = data[:1] + dump(tree).encode("utf-8", "surrogatepass")
            except (ValueError, TypeError, AttributeError, RecursionError):
                changed = b""
            if 0 < len(changed) <= max_size:
                return changed
        return atheris.Mutate(data, max_size)

    return mutate


def _seed(forms: list[Form], corpus: Path) -> None:
    for index, form in enumerate(forms):
        for number, content in enumerate(form.seeds):
            (corpus / f"seed-{index}-{number}").write_bytes(bytes([index]) + content)


def _dictionary(path: Path) -> None:
    texts = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in _WORDS)
    path.write_text("".join(f'"{text}"\n' for text in texts))


def _limit() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + _SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main(reader: str, folder: Path, seconds: int) -> None:
    corpus = folder / "corpus"
    for part in ("corpus", "found"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=["segfair"]):
        from tests.fuzz.readers import READERS

        forms = list(READERS[reader]())
        run = _Run(forms, folder)
        # Imports what readers import when they are called, and proves that what is valid is read.
        for form in forms:
            outcomes = {attempt(form, content, run.place) for content in form.seeds}
            assert "read" in outcomes, f"{reader}: no seed of {form.name} is read"
    _seed(forms, corpus)
    _dictionary(folder / "words")
    longest = max(len(content) for form in forms for content in form.seeds)
    _limit()
    flags = {
        "max_total_time": seconds, "rss_limit_mb": RSS_MB, "malloc_limit_mb": RSS_MB, "timeout": _WALL_SECONDS,
        "max_len": max(_LONGEST, 2 * longest), "dict": folder / "words", "artifact_prefix": f"{folder}/found/",
        "print_final_stats": 1, "close_fd_mask": 0, "verbosity": 1, "reload": 0,
    }  # fmt: skip
    atheris.Setup(
        [sys.argv[0], *(f"-{name}={value}" for name, value in flags.items()), str(corpus)],
        run.one,
        custom_mutator=_mutate(forms),
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
