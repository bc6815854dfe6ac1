"""Shows a verdict to people: one self-contained report page, and a few lines for a terminal.

Rule: reports read a `harness.model.Verdict` and nothing else; no file but the templates, no clock, no random source.
"""
