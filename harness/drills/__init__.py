"""Disaster-recovery drills: a disaster made on purpose under load, the way back, and what was measured of it.

Rule: a drill brings up zones, state and backups of its own, and breaks nothing else; whatever ends it, nothing of it
runs on. The client's load is outside what is broken, and outlives it. What the disaster did is read from the process
table and the file system; what it cost, from the client's ledger and the journal's records.
"""
