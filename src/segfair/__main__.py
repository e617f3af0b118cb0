from segfair.cli import main

main()
