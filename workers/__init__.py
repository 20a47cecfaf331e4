"""The RQ worker, and the mail. A map.

The life of a mail, from its job in the queue:

1. `worker` (main thread) waits for jobs and claims a batch through `claiming`; `in_flight` holds the claims.
2. `senders` (threads sender-1, sender-2, ...) run `delivery` for one claim each: `mail/` renders, `smtp/` has a relay
   take the mail and reads its answer, `delivery_backoff` says when to try again.
3. `settler` (thread settler) writes the settlements, in batches, and removes the claims from `in_flight`.
4. `maintenance` (thread maintenance) renews the leases of what is in flight, runs `recovery` for what is due and has
   no job, closes idle connections to relays, and keeps the worker's record for RQ's tools.

`command_listener` (thread command-listener) hears RQ's shutdown command; the thread of `sentinel/link/watcher.py`
hears when the master moves. Each of them repeats its commands to Redis by `retry_policy`, whose `Outage` logs
what keeps them waiting.

`container` wires one process from the settings, `cli` is `flask worker`, `processes` runs several workers under
one parent, `health/` tells a container's health check that the threads move, and `jobs` is the door for a stock RQ
worker: the job `workers.jobs.deliver`.
"""
