"""redis-py's PubSub over the link's client: RQ's own workers listen with one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from redis import ConnectionError as RedisConnectionError

from sentinel.link.master_link import MasterLink
from sentinel.local.waiting import wait_for

if TYPE_CHECKING:
    from tests.unit.sentinel.conftest import World


def test_a_pubsub_subscribes_again_on_the_new_master(link: MasterLink, world: World) -> None:
    """The role is verified first, so that neither answer is taken for the other."""
    pubsub = link.redis.pubsub()
    pubsub.subscribe("news")
    assert wait_for(lambda: world.master.subscribed_to("news") == 1, 30)
    world.fail_over()
    link.directory.announced(world.master.endpoint)
    world.other.hang_up_on_all()

    def follows() -> bool:
        with suppress(RedisConnectionError):
            pubsub.get_message(timeout=0.05)
        return world.master.subscribed_to("news") == 1

    assert wait_for(follows, 30)
    assert [words[0] for words in world.master.commands] == ["ROLE", "SUBSCRIBE"]
    world.master.publish("news", "hello")
    assert wait_for(lambda: (pubsub.get_message(timeout=0.05) or {}).get("data") == b"hello", 30)
    pubsub.close()
