"""Tests of how requests are made."""
