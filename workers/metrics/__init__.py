"""Metrics of a worker: what it counts (`counters`), and where they are shown (`server`)."""
