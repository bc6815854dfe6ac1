"""Chaos Toolkit experiments: one file is one experiment, and each runs alone with plain `chaos run`."""
