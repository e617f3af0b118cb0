"""A page on the screen: in a frame of a notebook where there is one, else in the browser."""

from __future__ import annotations

import html
import sys
import tempfile
import webbrowser
from pathlib import Path

__all__ = ["show_page"]


def show_page(page: str, *, height: int) -> None:
    """Shows a page that needs nothing beside it.

    Args:
        page: Its HTML.
        height: Of the frame in a notebook, in pixels.
    """
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:
        from IPython.display import HTML, display  # type: ignore[import-not-found, unused-ignore]

        frame = f'<iframe srcdoc="{html.escape(page)}" width="100%" height="{int(height)}" style="border:0"></iframe>'
        display(HTML(frame))  # type: ignore[no-untyped-call, unused-ignore]
        return
    # It stays: the browser reads it when it likes.
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="segfair-", suffix=".html", delete=False) as file:
        file.write(page)
    webbrowser.open(Path(file.name).as_uri())
