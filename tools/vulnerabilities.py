"""Whether a file of pinned versions names one with a known vulnerability that nobody has looked at.

    python tools/vulnerabilities.py tools/vulnerabilities.toml constraints.txt

Asks pip-audit, which asks PyPI. What it finds fails, unless the list says why it does no harm here; an entry of the
list that is not found any more fails as well. Where PyPI cannot be asked nothing fails, and what was not asked is told:
a build does not hang on a network.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Answer", "Found", "answer_of", "ask", "known_in", "wrong"]


@dataclass(frozen=True, slots=True)
class Found:
    """A vulnerability of a pinned version.

    Attributes:
        package: The package, with its version.
        ids: Its names: that of PyPI, and others (CVE, GHSA).
        mended: Versions without it.
    """

    package: str
    ids: tuple[str, ...]
    mended: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What PyPI says.

    Attributes:
        n_asked: Pinned versions that it knows.
        not_asked: Package and version -> why nothing is known of it.
        found: The vulnerabilities of the others.
    """

    n_asked: int
    not_asked: Mapping[str, str]
    found: tuple[Found, ...]


def ask(pins: Path) -> Answer | None:
    """What pip-audit finds; None where it cannot ask, which is told on stderr."""
    asked = [sys.executable, "-m", "pip_audit", "--requirement", str(pins), "--no-deps", "--disable-pip"]
    told = ["--format", "json", "--progress-spinner", "off"]
    # Fixed words, and no shell between.
    done = subprocess.run([*asked, *told], capture_output=True, text=True, check=False)  # nosec B603
    try:
        return answer_of(json.loads(done.stdout))
    except ValueError:
        print(done.stderr.strip().rpartition("\n")[2], file=sys.stderr)
        return None


def answer_of(tree: Mapping[str, Any]) -> Answer:
    """What pip-audit's JSON says."""
    not_asked, found, n_asked = {}, [], 0
    for entry in tree["dependencies"]:
        if "skip_reason" in entry:
            not_asked[entry["name"]] = entry["skip_reason"]
            continue
        n_asked += 1
        name = f"{entry['name']} {entry['version']}"
        found += [Found(name, (hit["id"], *hit["aliases"]), tuple(hit["fix_versions"])) for hit in entry["vulns"]]
    return Answer(n_asked, not_asked, tuple(found))


def known_in(path: Path) -> dict[str, str]:
    """Vulnerability -> why it does no harm here.

    Raises:
        ValueError: An entry without a reason.
    """
    known = tomllib.loads(path.read_text("utf-8")).get("known", {})
    bare = [name for name, why in known.items() if not str(why).strip()]
    if bare:
        raise ValueError(f"{path}: {', '.join(bare)}: say why it does no harm here")
    return dict(known)


def wrong(found: Iterable[Found], known: Collection[str], *, complete: bool) -> Iterator[str]:
    """What has to be done; nothing where every vulnerability is known and every known one is still there.

    Args:
        found: What was found.
        known: Names of those that somebody has looked at.
        complete: Whether everything was asked, so that what is not found is not there.
    """
    seen = set()
    for entry in found:
        seen |= set(entry.ids)
        if not seen & set(known) & set(entry.ids):
            mended = f"mended in {', '.join(entry.mended)}" if entry.mended else "mended in no version"
            yield f"{entry.package}: {' '.join(entry.ids)}, {mended}; take another version, or list it with a reason"
    if complete:
        yield from (f"{name}: is found no longer; take it out of the list" for name in known if name not in seen)


def main() -> int:
    """1 where something has to be done."""
    listed, pins = map(Path, sys.argv[1:])
    known = known_in(listed)
    answer = ask(pins)
    if answer is None or not answer.n_asked:
        print(f"vulnerabilities: PyPI could not be asked about {pins}; nothing is known of any version")
        return 0
    lines = list(wrong(answer.found, known, complete=not answer.not_asked))
    print(*lines, sep="\n", end="\n" if lines else "")
    if answer.not_asked:
        print(f"not asked: {', '.join(answer.not_asked)}")
    print(f"vulnerabilities: {answer.n_asked} versions asked, {len(answer.found)} found, {len(lines)} to be looked at")
    return bool(lines)


if __name__ == "__main__":
    sys.exit(main())
