"""Case ids -> keyed pseudonyms, everywhere in an audit. Under one key the same id has the same pseudonym.

A pseudonym is the HMAC-SHA256 of the id, shortened. Whoever lacks the key cannot go through likely ids and compare;
whoever has it can, so the key never lies beside the report. Sentences of ours that may quote ids or paths are replaced
by what is known to hold none, rather than searched for them; what the user wrote (the record, names of levels) is
searched.

References:
    Krawczyk, Bellare, Canetti. RFC 2104 (HMAC). ENISA. Pseudonymisation techniques and best practices. 2019, 5.1.4.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import os
import secrets
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from segfair.audit.result import TAUGHT_BINS, Alert, AuditResult
from segfair.audit.result.second_labels import Raters
from segfair.documents import read_text
from segfair.errors import AuditError, ConfigError, in_words
from segfair.handover.redaction import (
    CaseIds,
    ids_of,
    levels_with_ids,
    plan_without_texts,
    rename_each,
    rename_levels,
    rewrite,
    without_places,
)
from segfair.subgroups.search import LeftOut

__all__ = ["fingerprint", "pseudonymise", "pseudonyms", "read_key", "require_cases", "with_alert", "without_paths"]

_LENGTH = 16
"""Hexadecimal digits: 64 bits, of which two of a million cases collide with a chance of 3e-8."""
_SHORTEST_KEY = 16
NO_PREDICTION = "no prediction"
_NO_ATTRIBUTE = "made no attribute; the full report says why"


def read_key(path: Path, *, outside: Collection[Path] = ()) -> bytes:
    """Reads the key, or makes one that only the user can read.

    Args:
        path: Key file; made with 256 random bits and mode 600 where it does not exist.
        outside: Folders that it must not lie in, because they are handed on.

    Raises:
        ConfigError: The file lies in such a folder, cannot be used, or is too short to be a key.
    """
    where = path.resolve()
    for folder in outside:
        if where.is_relative_to(folder.resolve()):
            raise ConfigError(
                f"--pseudonymise {path}: lies inside {folder}, and would be handed on with it; name a file elsewhere"
            )
    try:
        # Made only if it is not there: two audits that start together never overwrite each other's key.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigError(
            f"--pseudonymise {path}: cannot be written ({in_words(error)}); name a file elsewhere"
        ) from error
    else:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
    key = read_text(path, refusal=ConfigError, what=f"--pseudonymise {path}", most=4096).strip().encode("utf-8")
    if len(key) < _SHORTEST_KEY:
        raise ConfigError(
            f"--pseudonymise {path}: {len(key)} bytes are too few for a key, it takes {_SHORTEST_KEY}; name a file "
            "that does not exist, and one is made"
        )
    return key


def fingerprint(key: bytes) -> str:
    """What tells keys apart without telling the key."""
    return hmac.new(key, b"\0segfair key", hashlib.sha256).hexdigest()[:_LENGTH]


def pseudonyms(ids: Iterable[str], key: bytes) -> dict[str, str]:
    """Id -> pseudonym.

    Raises:
        AuditError: Two ids have the same one.
    """
    found: dict[str, str] = {}
    taken: dict[str, str] = {}
    for case in ids:
        name = "p" + hmac.new(key, case.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:_LENGTH]
        if taken.setdefault(name, case) != case:
            raise AuditError("two case ids have the same pseudonym under this key; use another key")
        found[case] = name
    return found


def pseudonymise(result: AuditResult, key: bytes) -> AuditResult:
    """The audit with pseudonyms for ids, and without paths.

    Args:
        result: An audit with the ids of the files.
        key: See `read_key`.

    Raises:
        AuditError: Two ids have the same pseudonym.
        ConfigError: The audit has pseudonyms already, or is of lesions.
    """
    require_cases(result, "--pseudonymise")
    if result.about.pseudonym_key:
        raise ConfigError("--pseudonymise: the audit has pseudonyms already, and pseudonyms of these match no other")
    counts, rows = result.cases.counts, result.cases.scores
    place = rows.columns.index("case")
    names = pseudonyms(ids_of(result), key)
    ids = CaseIds.of(names)
    reason_place = rows.columns.index("penalised")
    clean_rows = []
    for row in rows.rows:
        cells = list(row)
        cells[place] = names[str(row[place])]
        cells[reason_place] = _reason(row[reason_place]) if row[reason_place] else ""
        clean_rows.append(tuple(cells))
    # In the order of the pseudonyms: that of the ids would say which is which.
    order = sorted(range(len(clean_rows)), key=lambda index: clean_rows[index][place])
    quoting = levels_with_ids(result, ids)
    cases = dataclasses.replace(
        result.cases,
        counts=dataclasses.replace(
            counts,
            penalised=_renamed(counts.penalised, names),
            missing_predictions=tuple(sorted(names[case] for case in counts.missing_predictions)),
            excluded=_renamed(counts.excluded, names),
            # Keyed as well: whoever has the labels could else look up whose digest stands beside a pseudonym.
            label_sha256=dict(
                sorted((names[case], _keyed(digest, key)) for case, digest in counts.label_sha256.items())
            ),
        ),
        scores=dataclasses.replace(
            rows,
            rows=tuple(clean_rows[index] for index in order),
            subjects=_renumbered([rows.subjects[index] for index in order]) if rows.subjects else (),
        ),
        gallery=result.cases.gallery.renamed(names) if result.cases.gallery else None,
    )
    record = rewrite(result.about.record, ids.replaced)
    plan = plan_without_texts(result.about.plan)
    about = dataclasses.replace(result.about, pseudonym_key=fingerprint(key), record=record, plan=plan)
    hidden = rename_levels(
        dataclasses.replace(result, about=about, cases=cases),
        {name: rename_each(result.attributes.bins[name].levels, ids) for name in quoting},
    )
    alert = Alert(
        "levels",
        f"Levels of {', '.join(quoting)} held case ids; pseudonyms stand for these. Leave such a column out with "
        "--attributes if it tells who somebody is.",
    )
    return without_paths(with_alert(hidden, alert) if quoting else hidden)


def require_cases(result: AuditResult, option: str) -> None:
    """Refuses an audit of lesions: what hides ids and small groups knows cases, of which it counts each as a patient.

    Args:
        result: The audit.
        option: What was asked for.

    Raises:
        ConfigError: It is of lesions.
    """
    if result.about.config.unit == "lesion":
        raise ConfigError(
            f"{option}: this audit counts lesions, of which a patient may have many, so that a group of 5 may be one "
            "patient; hand on the audit of the cases (--unit case)"
        )


def with_alert(result: AuditResult, alert: Alert) -> AuditResult:
    """The audit with one more alert, the last."""
    verdict = dataclasses.replace(result.verdict, alerts=(*result.verdict.alerts, alert))
    return dataclasses.replace(result, verdict=verdict)


def without_paths(result: AuditResult) -> AuditResult:
    """The audit without input paths, without sentences that may quote paths or ids, and without paths in the record."""
    kept = [Alert(alert.kind, without_places(alert.text)) for alert in result.verdict.alerts if alert.kind != "cases"]
    n_noticed = len(result.verdict.alerts) - len(kept)
    if n_noticed:
        kept.append(Alert("cases", f"{n_noticed} kinds of peculiarities in the masks; the full report names them."))
    left_out = result.attributes.left_out
    search, second = result.subgroups.search, result.subgroups.second_labels
    reasons = result.subgroups.reasons
    calibration = result.scores.calibration
    if search is not None:
        entries = (LeftOut(entry.what, _NO_ATTRIBUTE) if entry.what in left_out else entry for entry in search.left_out)
        search = dataclasses.replace(search, left_out=tuple(entries))
    return dataclasses.replace(
        result,
        about=dataclasses.replace(
            result.about,
            # Joined texts may quote ids, as levels do.
            config=dataclasses.replace(result.about.config, join=()),
            inputs={},
            notices=(),
            joined=None,
            record=rewrite(result.about.record, without_places),
        ),
        attributes=dataclasses.replace(
            result.attributes,
            binning={},
            left_out=dict.fromkeys(left_out, _NO_ATTRIBUTE),
            columns={
                # What was decided by may quote a cell, and so may spellings.
                name: dataclasses.replace(entry, why="", spellings={})
                for name, entry in result.attributes.columns.items()
            },
        ),
        subgroups=dataclasses.replace(
            result.subgroups,
            search=search,
            second_labels=None if second is None else dataclasses.replace(second, labels=""),
            raters=None if result.subgroups.raters is None else _unnamed(result.subgroups.raters),
            reasons=reasons and dataclasses.replace(reasons, cases=()),
        ),
        scores=dataclasses.replace(
            result.scores,
            calibration=None if calibration is None else dataclasses.replace(calibration, left_out={}),
        ),
        verdict=dataclasses.replace(result.verdict, alerts=tuple(kept)),
    )


def _unnamed(raters: Raters) -> Raters:
    """Raters by number, for a folder may bear the name of whoever drew its labels; without what is said of one case."""
    names = {name: f"rater {number}" for number, name in enumerate(raters.names, start=1)}

    def called(name: str) -> str:
        return names.get(name, name)

    return dataclasses.replace(
        raters,
        reference=called(raters.reference),
        names=tuple(names.values()),
        pairs=tuple(
            dataclasses.replace(pair, first=called(pair.first), second=called(pair.second)) for pair in raters.pairs
        ),
        rulers=tuple(dataclasses.replace(ruler, name=called(ruler.name)) for ruler in raters.rulers),
        groups=tuple(
            dataclasses.replace(group, model={called(name): gap for name, gap in group.model.items()})
            for group in raters.groups
        ),
        cases=(),
        left_out={},
    )


def _keyed(digest: str, key: bytes) -> str:
    return hmac.new(key, b"\0label " + digest.encode("ascii"), hashlib.sha256).hexdigest()


def _renamed(reasons: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """Reasons by pseudonym, in the order of the pseudonyms."""
    return dict(sorted((names[case], _reason(why)) for case, why in reasons.items()))


def _reason(text: str) -> str:
    """Why a case was penalised or excluded, in words that quote no file."""
    if text in (NO_PREDICTION, f"dropped: {NO_PREDICTION}", TAUGHT_BINS):
        return text
    if text.startswith("no row in "):
        return "no row in the metadata"
    if text.startswith("another grid"):
        return "another grid than the label"
    return "the file cannot be used"


def _renumbered(codes: list[int]) -> tuple[int, ...]:
    """Patient codes in order of first appearance."""
    seen: dict[int, int] = {}
    return tuple(seen.setdefault(code, len(seen)) for code in codes)
