"""The tests of segfair: a package, so that no other `tests` in an environment is taken for them."""
