"""Tests of harness.schedules."""
