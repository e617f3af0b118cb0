"""python -m tests.mutation --count 400: a sample of faults, and how many of them the tests notice.

The table goes to `docs/reliability.md`; what is found stands in `build/mutants/` (`results.jsonl`, a fault a line); a run that was ended goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.mutation.forked import Record, copy_sources, fault, load_libraries, recorded, run_tests
from tests.mutation.mutants import Mutant, sample
from tests.mutation.table import replaced

_CHECKOUT = Path(__file__).parents[2]


def main() -> None:
    """Draws, runs, writes down."""
    options = _options()
    scratch = options.out.resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    os.chdir(_CHECKOUT)
    package = copy_sources(_CHECKOUT, scratch / "copy")
    drawn = sample(package, options.count, options.seed)
    load_libraries()
    record = _record(package, scratch)
    done = {_key(found): found for found in _read(scratch / "results.jsonl")}
    for number, mutant in enumerate(drawn, 1):
        found = done.get(mutant.key)
        if found is None or (options.again and found["ended"] == "passed"):
            done[mutant.key] = found = _tried(mutant, package, scratch, record)
            _write(scratch / "results.jsonl", done.values())
            print(f"{number}/{len(drawn)} {mutant.module}:{mutant.line} {found['ended']} {found['cpu_s']} s", flush=True)
            if found["ended"] == "passed":
                print(f"  - {mutant.before}\n  + {mutant.after}", flush=True)
    found = [done[mutant.key] for mutant in drawn]
    noticed = sum(one["ended"] != "passed" for one in found)
    page = options.page.read_text("utf-8")
    options.page.write_text(replaced(page, found, options.seed), "utf-8")
    print(f"{noticed} of {len(drawn)} noticed; the table stands in {options.page}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=16)
    parser.add_argument("--again", action="store_true", help="try again what was not noticed")
    parser.add_argument("--page", type=Path, default=_CHECKOUT / "docs" / "reliability.md", help="where the table goes")
    parser.add_argument("--out", type=Path, default=_CHECKOUT / "build" / "mutants")
    return parser.parse_args()


def _tried(mutant: Mutant, package: Path, scratch: Path, record: Record) -> dict[str, Any]:
    tests = record.for_line(mutant.module, mutant.line)
    with fault(package / mutant.module, mutant.source):
        outcome = run_tests(tests, package, scratch, known=record.seconds)
    facts = {name: getattr(mutant, name) for name in ("module", "operator", "line", "before", "after")}
    return {**facts, "ended": outcome.ended, "by": outcome.by, "cpu_s": round(outcome.cpu_s, 1), "tests": len(tests)}


def _record(package: Path, scratch: Path) -> Record:
    """The record of these sources: the last one, where they are the same."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(package.rglob("*.py")))).hexdigest()
    kept = scratch / "record.json"
    if kept.exists():
        facts = json.loads(kept.read_text("utf-8"))
        if facts.pop("sources") == digest:
            return Record(**facts)
    record = recorded(package, scratch)
    kept.write_text(json.dumps({"sources": digest, **asdict(record)}), "utf-8")
    return record


def _key(found: dict[str, Any]) -> tuple[str, str, str]:
    return found["module"], found["before"], found["after"]


def _read(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        yield from map(json.loads, path.read_text("utf-8").splitlines())


def _write(path: Path, found: Any) -> None:
    path.write_text("".join(json.dumps(one) + "\n" for one in found), "utf-8")


if __name__ == "__main__":
    main()
