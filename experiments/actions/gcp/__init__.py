"""What experiments do to resources of Google Cloud, one module for each kind of resource.

Rule: right before every write the resource is checked against the allow-list, by its own labels or its name. The fault
is written down on the disk before it is made, with all that its undo needs; an operation is waited for with a limit,
and its error is ours. An action proves nothing (that is for `experiments.probes.gcp`). An undo may be called any time.
"""
