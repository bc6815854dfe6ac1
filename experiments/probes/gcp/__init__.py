"""Readings of resources of Google Cloud, one module for each kind of resource.

Rule: a reading asks the resource itself, never the operation that was to change it, and through another client than
the action where there is one. Waiting has a limit, then it raises.
"""
