"""The notebooks of examples/: run, and laid out as pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

OUTPUTS = ("text/html", "image/svg+xml", "image/png", "text/plain")
"""Of an output that is there in several kinds, the first is shown."""
_BLANK = re.compile(r"\n\s*\n")
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def run_notebook(path: Path, folder: Path) -> Any:
    """The notebook with what its cells say when they are run in an empty folder."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    return notebook


def notebook_page(notebook: Any, source: str) -> str:
    """Its cells as Markdown; the file itself is linked at the end of the first cell."""
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source.replace(".ipynb)", ".md)"))  # its neighbours are pages, too
        elif cell.cell_type == "code":
            parts.append(f"```python\n{cell.source}\n```")
            parts.extend(filter(None, map(_output, cell.outputs)))
    parts.insert(1, f"A [notebook]({source}), run when these pages were built.")
    return "\n\n".join(parts) + "\n"


def _output(output: Any) -> str:
    if output.output_type == "stream":
        return f"```text\n{_ESCAPES.sub('', output.text).rstrip()}\n```"
    data = output.get("data", {})
    kind = next((kind for kind in OUTPUTS if kind in data), None)
    if kind == "image/png":
        return f'<img class="out" alt="What the cell above draws" src="data:image/png;base64,{data[kind].strip()}">'
    if kind in ("text/html", "image/svg+xml"):
        within = _BLANK.sub("\n", data[kind]).strip()  # a blank line would end the HTML in Markdown
        return f'<div class="out">{within}</div>'
    return f"```text\n{data[kind]}\n```" if kind else ""
