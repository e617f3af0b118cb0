"""AuditResult -> report.html, summary.html, audit.json, two tables and manifest.json. The only importer of jinja2.

Computes nothing: what the page says is decided in `segfair.report.audit`, how it looks in `templates/`.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from segfair.audit.result import AuditResult
from segfair.files.manifest import MANIFEST, Origin, build_manifest, hash_file, hash_inputs, is_ours, written_files
from segfair.files.placing import (
    Results,
    placed_together,
    refuse_foreign,
    refuse_unwritable,
    write_json,
    write_text,
)
from segfair.files.tables import write_csv
from segfair.report.audit import page_data
from segfair.report.parts import as_read
from segfair.report.signing.language import Language, LanguageCode, language_of
from segfair.report.signing.page import summary_data
from segfair.report.signing.paper import require_paper, to_pdf

__all__ = [
    "FILES",
    "PDF",
    "printed_foot",
    "refuse_place",
    "render",
    "render_page",
    "render_summary",
    "template_folder",
    "write_report",
]

Extras = Mapping[str, bytes] | Callable[[], Mapping[str, bytes]]

_SCRIPT = ("base", "tables", "folds", "glossary", "figures", "subgroups", "page")

FILES = ("report.html", "summary.html", "audit.json", "cases.csv", "subgroups.csv", MANIFEST)
PDF = "summary.pdf"


def refuse_place(directory: Path, *beside: str) -> None:
    """Refuses a folder that a report could not be written to, before anything is scored.

    Args:
        directory: Where to.
        beside: Files and folders that will be written beside those of every report.

    Raises:
        ConfigError: See `write_report`.
    """
    refuse_foreign(directory, (*FILES, *beside), ours=is_ours(directory))
    refuse_unwritable(directory)


def write_report(
    result: AuditResult,
    directory: str | PathLike[str],
    *,
    command: str = "",
    extras: Extras | None = None,
    inputs: Mapping[str, Any] | None = None,
    origin: Origin | None = None,
    language: LanguageCode = "en",
    pdf: bool = False,
) -> Path:
    """Writes the report's six files; each appears only once all of them are complete.

    Where something that is drawn fails, `audit.json` and the tables appear all the same. A folder that exists is used:
    files of an earlier report are replaced or removed, all others stay as they are. An audit without rows of cases (one
    that was made to be shared) has no cases.csv; one of lesions has lesions.csv in its place.

    Args:
        result: The audit.
        directory: Where to; made if it does not exist.
        command: The command line that led here, for the record; empty: called from Python.
        extras: Further files, path within the folder -> contents, or what draws them once the tables are written; the
            manifest holds their hashes as well.
        inputs: Hashes of the inputs as `hash_inputs` gives them, taken when they were audited; None: taken now.
        origin: Command and date of the audit, where it is only drawn again; None: this is the audit.
        language: Of the summary.
        pdf: Whether the summary is written as summary.pdf, too.

    Returns:
        The path of report.html.

    Raises:
        ConfigError: The folder cannot be written, or holds files of these names that segfair did not write; no such
            language; what the PDF takes is not installed; or something could not be drawn.
    """
    directory = Path(directory)
    words = language_of(language)
    if pdf:
        require_paper()
    names = [result.rows_file if name == "cases.csv" else name for name in FILES]
    names = [name for name in names if name != result.rows_file or result.cases.scores.rows]
    names += [PDF] if pdf else []
    refuse_foreign(directory, dict.fromkeys([*FILES, *names]), ours=is_ours(directory))
    record = _Record(result, command, datetime.now(UTC), origin, inputs)
    kept = Results(
        ("audit.json", *_tables(result)),
        f"mend that, and segfair report {directory} --out {directory} draws the rest",
        record.write,
    )
    earlier = functools.partial(written_files, directory)
    with placed_together(directory, first=MANIFEST, results=kept, earlier=earlier) as unfinished:
        _write_tables(result, unfinished)
        more = dict(extras() if callable(extras) else extras or {})
        refuse_foreign(directory, more, ours=is_ours(directory))
        for name, contents in more.items():
            (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
            (unfinished / name).write_bytes(contents)
        _draw(record, unfinished, [*names, *more], words)
    return directory / "report.html"


@dataclass(frozen=True, slots=True, eq=False)
class _Record:
    """What the manifest says of an audit and of how it was written."""

    result: AuditResult
    command: str
    written: datetime
    origin: Origin | None
    inputs: Mapping[str, Any] | None

    def write(self, folder: Path, names: Sequence[str]) -> None:
        """Writes the manifest of these files of a folder."""
        about, cases = self.result.about, self.result.cases
        ids = {*self.result.case_ids, *cases.counts.excluded}
        manifest = build_manifest(
            outputs={name: folder / name for name in names},
            inputs=hash_inputs(about.inputs, ids) if self.inputs is None else self.inputs,
            command=self.command,
            protocol=about.config.protocol.name,
            protocol_digest=about.config.protocol.digest,
            versions=about.versions,
            written=self.written.isoformat(timespec="seconds"),
            origin=self.origin,
        )
        write_json(folder / MANIFEST, manifest)


def _tables(result: AuditResult) -> tuple[str, str]:
    """The tables that are written of what was found."""
    return result.rows_file, "subgroups.csv"


def _write_tables(result: AuditResult, folder: Path) -> None:
    """What the audit found: all else is drawn from it."""
    result.save(folder / "audit.json")
    if result.cases.scores.rows:
        scores = result.cases.scores
        write_csv(scores.records(), folder / result.rows_file, columns=scores.columns)
    write_csv(result.records(), folder / "subgroups.csv")


def _draw(record: _Record, folder: Path, names: Collection[str], language: Language) -> None:
    """The pages, in a folder that holds what they are drawn from."""
    result, origin = record.result, record.origin
    digests = {
        "protocol (rules)": result.about.config.protocol.digest,
        **{name: hash_file(folder / name) for name in ("audit.json", *_tables(result)) if name in names},
    }
    beside = [name for name in names if name != "report.html"]
    page = render_page(_page_data(result, record.written, record.command, digests, origin, beside))
    write_text(folder / "report.html", page)
    audited = as_read(record.written) if origin is None else _audited(origin)
    summary = render_summary(summary_data(result, language, audited=audited, digest=digests["audit.json"]), language)
    write_text(folder / "summary.html", summary)
    if PDF in names:
        (folder / PDF).write_bytes(to_pdf(summary))


def _page_data(
    result: AuditResult,
    written: datetime,
    command: str,
    digests: dict[str, str],
    origin: Origin | None,
    files: Sequence[str],
) -> dict[str, Any]:
    now = as_read(written)
    if origin is None:
        return page_data(result, written=now, command=command, digests=digests, files=files)
    audited = _audited(origin) or "at an unknown time"
    again = (now, command)
    return page_data(result, written=audited, command=origin.command, digests=digests, redrawn=again, files=files)


def _audited(origin: Origin) -> str:
    """When an audit was made that is drawn again; empty where nobody knows."""
    with contextlib.suppress(ValueError):
        return as_read(datetime.fromisoformat(origin.written))
    return ""


def render_page(page: dict[str, Any], *, template: str = "report.html.j2") -> str:
    """The page as one HTML text that needs no network.

    Args:
        page: See `segfair.report.audit.page_data`.
        template: Which page; all share style, script and policy.
    """
    folder = template_folder()
    script = page_script(folder)
    return render(
        template,
        page=page,
        # Our own files, and JSON in which every character that could end its element is escaped.
        script=_ours(script),
        style=_ours((folder / "style.css").read_text("utf-8") + printed_foot(page["title"])),
        # Of the one table whose rows are data; most pages have none.
        payload=_ours(page.get("sections", {}).get("subgroups", {}).get("payload", "{}")),
        policy=content_policy(script),
    )


def render_summary(page: dict[str, Any], language: Language) -> str:
    """The summary as one HTML text that needs neither a network nor a script.

    Args:
        page: See `segfair.report.signing.page`.
        language: Of the template's own words.
    """
    style = _ours((template_folder() / "sign.css").read_text("utf-8") + printed_foot(page["title"]))
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return render("sign.html.j2", language=language, page=page, style=style, policy=policy)


def render(template: str, *, language: Language | None = None, **values: Any) -> str:
    """A template with what it prints, escaped; its own words in a language, English without one."""
    environment = _environment(template_folder(), language or language_of("en"))
    return environment.get_template(template).render(**values)


@functools.cache
def _environment(folder: Path, language: Language) -> Environment:
    """Kept, so that the pages of thirty teams compile their templates once."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.filters |= {"flat": _flat, "slug": _slug}
    environment.install_gettext_translations(language.catalogue, newstyle=True)  # type: ignore[attr-defined]
    return environment


def printed_foot(text: str) -> str:
    """The rule of a style sheet that puts a text at the foot of every printed page."""
    # Whatever is no letter or digit is written as its number, so that no text ends the rule or the element.
    escaped = "".join(letter if letter.isalnum() else f"\\{ord(letter):x} " for letter in text)
    return f'@page {{ @bottom-left {{ content: "{escaped}"; font: 8pt sans-serif; color: #56636f; }} }}\n'


def _ours(text: str) -> Markup:
    """What is not escaped any more: files of ours, what `printed_foot`, `encode_tables` and jinja2 itself have made."""
    # Nothing else comes here; tests put hostile texts into every field of every page.
    return Markup(text)  # nosec B704


def _flat(markup: Markup) -> Markup:
    """Markup without its noscript elements, whose contents stay: they cannot be nested."""
    return _ours(re.sub("</?noscript>", "", markup))


def _slug(text: str) -> str:
    """A name in letters, digits and dashes, as it stands in the address of a page."""
    return re.sub(r"[\W_]+", "-", text.lower()).strip("-")


@functools.cache
def page_script(folder: Path) -> str:
    """The one script of all pages: its parts in the order in which they build upon each other."""
    parts = "\n".join((folder / "script" / f"{part}.js").read_text("utf-8") for part in _SCRIPT)
    return f'(function () {{\n"use strict";\n{parts}}})();\n'


def content_policy(script: str) -> str:
    """Content-Security-Policy: the page's own script by its hash, inline styles, and nothing from anywhere."""
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def template_folder() -> Path:
    """Where the templates lie: in the installed package, else at the top of the checkout."""
    packaged = Path(__file__).resolve().parents[1] / "templates"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[3] / "templates"
