"""Starts the command line by `python -m harness.cli`.

Rule: nothing else.
"""

from harness.cli import main

main()
