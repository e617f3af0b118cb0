"""A page of ours as PDF. The only importer of WeasyPrint, which is an extra: `pip install 'segfair[pdf]'`."""

from __future__ import annotations

from segfair.errors import ConfigError

__all__ = ["require_paper", "to_pdf"]


def require_paper() -> None:
    """Says at once what has to be installed.

    Raises:
        ConfigError: WeasyPrint is missing, or the libraries that it loads are.
    """
    try:
        import weasyprint  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"--pdf: WeasyPrint is not installed ({error}); pip install 'segfair[pdf]', or print summary.html from a "
            "browser"
        ) from error
    except OSError as error:  # a shared library that it loads
        raise ConfigError(
            f"--pdf: WeasyPrint finds no Pango ({error}); on Debian: apt install libpango-1.0-0 libpangoft2-1.0-0 "
            "libharfbuzz-subset0"
        ) from error


def to_pdf(page: str) -> bytes:
    """The PDF of a page that needs nothing beside it; tagged, so that screen readers find their way."""
    require_paper()
    import weasyprint
    from weasyprint.urls import URLFetcher

    inside = URLFetcher(allowed_protocols=("data",))
    return bytes(weasyprint.HTML(string=page, url_fetcher=inside).write_pdf(pdf_tags=True))
