"""What experiments do to the fleet, one module for each kind of thing that breaks.

Rule: an action asks the supervisor and says so before it acts; it proves nothing (that is for `experiments.probes`).
Every undo may be called at any time, again and again.
"""
