"""Tests of the experiments' files, actions and probes."""
