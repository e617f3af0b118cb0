"""What the words of a page mean: each spelling once, entries by title."""

from __future__ import annotations

from segfair.report.glossary import ENTRIES, glossary


def test_a_page_gets_the_entries_it_names_by_title() -> None:
    found = glossary("ts", "adjusted-p", "dsc")
    assert [entry["title"] for entry in found] == ["Adjusted p", "DSC", "TS"]
    assert found[1]["words"] == "DSC|Dice"
    assert found[1]["text"].startswith("Dice similarity coefficient")


def test_no_spelling_belongs_to_two_entries_and_none_explains_itself_with_a_blank() -> None:
    spellings = [word for entry in ENTRIES.values() for word in (entry.title, *entry.also)]
    assert len(set(spellings)) == len(spellings)
    assert all(entry.text.endswith(".") and entry.title for entry in ENTRIES.values())


def test_nobody_reads_the_score_as_a_percentage() -> None:
    assert "Not a percentage" in ENTRIES["fs"].text
    assert "chance level" in ENTRIES["fs"].text
