"""The tests; a package, so that no other package of that name that a library ships is found in its place."""
