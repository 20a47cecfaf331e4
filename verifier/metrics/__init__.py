"""Metrics for Prometheus: what a process counts itself, and the state of the service, read from Redis when it is asked for.

    link         what the link to the master tells (sentinel/observer.py)
    visits       requests, submissions and checks of the web app
    state        owed mails, workers, memory and replicas: read at the moment of a scrape
    page         all of it as text
    reading      who may read it
    shared       counting together where a service has several processes

Names and labels are held by docs/metrics.md. A label's values are few and known beforehand: never an address, never an id.
"""
