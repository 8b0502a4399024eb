"""Commands of the command line, a file each, which cli.py registers. A command finds the console in its context."""
