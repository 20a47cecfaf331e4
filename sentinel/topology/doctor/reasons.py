"""Why each finding matters, in a sentence: what it says of itself is what is wrong, not what comes of it."""

from __future__ import annotations

from sentinel.topology.findings import Finding

_ORDERS = "An order that crosses a failover makes two masters, or a replica of nobody."
_WRITES = "Nothing is accepted meanwhile: submissions get 503, and what was accepted is not settled."
_BLIND = "What can't be seen can't be judged, and the switchover is refused."

WHY = {
    # Now
    "failover-in-progress": _ORDERS,
    "failover-ending": _ORDERS,
    "being-promoted": _ORDERS,
    "master-seen-down": "A failover follows in a moment, or this sentinel is cut off.",
    "master-silent": _WRITES,
    "master-unresolved": _WRITES,
    "no-sentinel": "App and workers find the master through the sentinels alone.",
    "rogue": "Writes are refused, and a stranger's data may replace all copies.",
    "two-masters": "Whoever writes to the wrong one is told yes, and loses it.",
    "writes-refused": _WRITES,
    "writes-not-confirmed": _WRITES,
    "write-not-tried": "A master that answers may refuse every write all the same.",
    # The next failover
    "locked-out": "They would replace a master that is well, or find nobody to replace it with.",
    "quorum-lost": "If the master dies, nobody takes over.",
    "views-differ": "App and worker follow the majority; whoever follows the other one writes what is lost.",
    "no-replica": "If the master dies, nobody takes over, and its data are in one place only.",
    "no-candidate": "If the master dies, nobody takes over.",
    "replica-would-refuse": "If it is promoted, the failover ends in an outage.",
    "replica-silent": "One copy less: the next one that dies may be the last.",
    "replica-not-in-sync": "If it is promoted, what it lacks is lost.",
    "unequal-priorities": "The one with the better priority is promoted even if another one has more of the data.",
    "sentinel-silent": "One vote less: another one that dies may end all failovers.",
    "sentinel-refuses-us": "We hear of the master from one sentinel less.",
    "sentinel-tls-fails": "We hear of the master from one sentinel less.",
    "sentinel-watches-others": "One vote less, whatever it looks like.",
    "sentinel-no-sentinel": "We hear of the master from one sentinel less than the settings say.",
    "sentinel-behind": "It may undo the next switchover as soon as it hears of it.",
    "sentinels-differ": "Which failover comes, and when, depends on who leads it.",
    "tilt": "It takes part in no failover meanwhile.",
    "few-sentinels": "With fewer than three, the death of one ends all failovers: there is no majority without it.",
    "even-sentinels": "One more costs another vote and survives no more deaths than one less.",
    "quorum-out-of-reach": "If the master dies, nobody takes over: so many never agree.",
    "quorum-no-majority": "A lower one starts failovers on the word of a few that may be cut off; a higher one misses them when "
    "a sentinel is away.",
    "quorum-on-file": "A file is read at a sentinel's first start only: a new sentinel would get another quorum than the rest.",
    "stale-sentinels": "A majority is counted of all it knows, the dead ones, too: each makes the next failover less likely.",
    "failover-timeout": "A promotion on a busy machine takes longer, and is given up half-way.",
    "long-failover-timeout": "Until then nothing is accepted.",
    "down-after": "After a stall nobody would be promoted any more, for good.",
    "rogue-not-mended": "Somebody has to see it and run `flask sentinel repair`.",
    "time-budget": "People see an error in each failover, though nothing is lost.",
    "names": "A failover takes half a minute in place of some seconds.",
    "names-mixed": "A failover may go to a node that is counted twice.",
    # Data
    "setting": "What was accepted may be lost without an error.",
    "empty-restart": "Restarted before the sentinels notice, it is a master without data, and every replica throws its own away to "
    "be like it.",
    "slow-disk": "Each time writes wait for the disk, and after a crash more than a second of them may be missing.",
    "no-memory-limit": "It grows until the kernel ends it, or what else runs on its host.",
    "memory-nearly-full": "At nine tenths new submissions get 503.",
    "memory-of-machine": "Then the kernel ends it in the middle of a write to its disk, or of a full copy to a replica.",
    "small-backlog": "A replica that was away for some seconds has to copy everything, and confirms nothing meanwhile.",
    "backlog-against-limit": "From Redis 7.0 on it counts against the limit: little is left for data.",
    "fork-failed": "Snapshots, rewrites of the append-only file and full copies to replicas need a fork; without them the file grows "
    "until the disk is full.",
    "clocks-differ": "After a failover codes live for so much longer or shorter, and leases of mails end too early or too late.",
    # Who may do what
    "open": "Nothing but the network protects the addresses and the master.",
    "too-old": "The scripts fail on it.",
    "right-missing": _BLIND,
    "right-lost": "CKQUORUM says OK all the same, and the failover fails when it is needed.",
    "right-too-many": "The app needs none of it, and is what the world can reach.",
    "denials": "A part of the service may be failing at this, or somebody tries passwords.",
    "not-encrypted": "Passwords and addresses can be read on the way.",
    "certificate-ends": "From then on nobody reaches anybody: app, workers, sentinels and replicas.",
}


def why_of(finding: Finding) -> str:
    """Return why a finding matters; empty where nobody wrote it down."""
    return WHY.get(finding.code, "")
