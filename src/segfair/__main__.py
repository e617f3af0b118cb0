"""`python -m segfair`."""

from segfair.cli.app import main

main()
