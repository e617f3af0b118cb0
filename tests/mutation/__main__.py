"""python -m tests.mutation --count 400: a sample of faults, and how many of them the tests notice.

The table goes to `docs/reliability.md`; what is found stands in `build/mutants/` (`results.jsonl`,
a fault a line); a run that was ended goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.mutation.forked import Record, copy_sources, load_libraries, recorded, with_tests_collected
from tests.mutation.mutants import Mutant, sample
from tests.mutation.table import replaced
from tests.mutation.trial import Trial, place

_CHECKOUT = Path(__file__).parents[2]


def main() -> None:
    """Draws, runs, writes down."""
    options = _options()
    scratch = options.out.resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    os.chdir(_CHECKOUT)
    package = copy_sources(_CHECKOUT, scratch / "copy")
    sources = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(package.rglob("*.py")))).hexdigest()
    drawn = [
        Mutant(**one)
        for one in _kept(
            scratch / "sample.json",
            [sources, options.count, options.seed],
            lambda: [asdict(mutant) for mutant in sample(package, options.count, options.seed)],
        )
    ]
    load_libraries()
    record = Record(**_kept(scratch / "record.json", [sources], lambda: asdict(recorded(package, scratch))))
    trial = Trial(package, scratch, record, again=options.again, others_s=options.others)
    with_tests_collected(package, lambda items: trial.in_imported(drawn, items))
    trial.in_fresh(drawn)
    done = trial.done()
    found = [done[place(mutant)] for mutant in drawn]
    noticed = sum(one["ended"] != "passed" for one in found)
    page = options.page.read_text("utf-8")
    options.page.write_text(replaced(page, found, options.seed), "utf-8")
    print(f"{noticed} of {len(drawn)} noticed; the table stands in {options.page}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=16)
    parser.add_argument("--again", action="store_true", help="try again what was not noticed")
    parser.add_argument("--others", type=float, default=2.0, metavar="S", help="time for tests of other modules")
    parser.add_argument("--page", type=Path, default=_CHECKOUT / "docs" / "reliability.md", help="where the table goes")
    parser.add_argument("--out", type=Path, default=_CHECKOUT / "build" / "mutants")
    return parser.parse_args()


def _kept(place: Path, made_from: list[Any], make: Callable[[], Any]) -> Any:
    """What `make` gives, made anew only where it was made from something else the last time."""
    if place.exists():
        kept = json.loads(place.read_text("utf-8"))
        if kept["from"] == made_from:
            return kept["made"]
    made = make()
    place.write_text(json.dumps({"from": made_from, "made": made}), "utf-8")
    return made


if __name__ == "__main__":
    main()
