"""`python -m reference_service.cli`.

Rule: nothing but the start.
"""

from reference_service.cli import main

main()
