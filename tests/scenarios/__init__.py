"""Tests of the scenario files, each run as its users run it."""
