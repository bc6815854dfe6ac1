"""Tests mirror the tree; those of real processes are in `integration`."""
