"""`python -m segfair`."""

from segfair.cli import main

main()
