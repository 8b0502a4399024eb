"""`python -m minigan` is `minigan`."""

from minigan.cli import main

main()
