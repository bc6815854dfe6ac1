"""Locust files: one file is one scenario, and each also runs alone with plain `locust -f`."""
