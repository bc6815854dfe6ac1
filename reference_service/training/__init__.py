"""Training of the reference model: from the flights of New York in 2013 to a version in the registry.

Rule: needs the extra `train`; nothing of the running service imports it.
"""
