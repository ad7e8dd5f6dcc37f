"""`python -m greenroom.cli`."""

from greenroom.cli.entry import main

main()
