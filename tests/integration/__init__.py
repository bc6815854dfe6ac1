"""Tests of real processes: fleets, loads and whole runs."""
