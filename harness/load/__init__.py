"""Open-loop load: the schedule, the engine that keeps to it, the Locust user around it, and the ledger it writes."""
