"""`python -m greenroom_server`."""

from greenroom_server.cli import main

main()
