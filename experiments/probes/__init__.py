"""Readings that experiments are believed by, one module for each place that is read.

Rule: a reading never asks the actor whether it succeeded. The supervisor is asked only for addresses; whether a
process lives is read from the process table, whether it serves from a call to it. Waiting has a limit, then it raises.
"""
