"""`python -m hexsolve`."""

from hexsolve.cli.main import main

main()
