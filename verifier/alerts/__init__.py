"""Telling people without Prometheus: a thread in each web and worker process, of which one at a time tells.

catalogue   which alerts there are, and which reasons of the readiness lead to each; pure
book        what fires, for how long, and what is still to be told; pure, damps flapping
webhook     one alert as JSON, and one POST
courier     the POST under way, repeated with a backoff
canary      a verification of our own that goes the whole way
monitor     the thread
wiring      from the settings to the thread
"""
