"""From what stands in Redis to the minutes that are shown."""

from __future__ import annotations

from verifier.store.ops.series import Minute, minutes_of


def written(sequence: int, **more: int) -> dict[str, str]:
    return {"owed": "3", "oldest": "4.5", "sequence": str(sequence)} | {
        name: str(value) for name, value in more.items()
    }


def test_a_minute_tells_what_was_done_in_it() -> None:
    """Accepted is what was queued, less what recovery queued again; what was given up counts as refused."""
    shown = minutes_of([(10, written(100)), (11, written(150, sent=40, rejected=1, abandoned=2, requeued=5))])
    assert shown == (Minute(11, owed=3, oldest_s=4.5, accepted=45.0, sent=40, deferred=0, rejected=3),)


def test_where_nobody_wrote_nothing_is_made_up() -> None:
    """But what was accepted meanwhile is known in the end, and spread over the gap."""
    shown = minutes_of([(10, written(100)), (11, {}), (12, {}), (13, written(160)), (14, {})])
    assert [(each.number, each.owed, each.accepted) for each in shown] == [
        (11, None, 20.0),
        (12, None, 20.0),
        (13, 3, 20.0),
        (14, None, None),
    ]


def test_a_master_that_knows_less_makes_no_negative_bar() -> None:
    """After a failover, or where Redis was emptied."""
    [minute] = minutes_of([(10, written(100)), (11, written(90))])
    assert minute.accepted == 0
