"""The summary that somebody signs: one or two pages in plain words, in the reader's language, and their PDF."""
