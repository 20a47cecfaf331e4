"""All metrics of a service as text: those of this process, or of all its processes where they count together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from verifier.metrics import shared
from verifier.metrics.state import StateCollector

# A file that another process is just making, or that was just removed, is there or gone at the next look.
_MOST_LOOKS = 5


@dataclass(frozen=True)
class _Found:
    families: Iterable[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.families


class MetricsPage:
    """What a scrape gets; safe for threads."""

    def __init__(self, registry: CollectorRegistry, state: StateCollector) -> None:
        """Take what this process counts, and what reads the state of the service."""
        self._registry = registry
        self._state = state
        if (where := shared.directory()) is not None:
            with shared.added_up(where):
                pass

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return the text and its content type, by what the Accept header of a scrape asks for."""
        encode, content_type = choose_encoder(accept)
        # First what may take a while.
        families = [*self._state.collect(), *self._counted()]
        return encode(_Found(families)), content_type

    def _counted(self) -> Iterator[Metric]:
        where = shared.directory()
        if where is None:
            return iter(self._registry.collect())
        with shared.added_up(where):
            collector = MultiProcessCollector(None, str(where))
            for _ in range(_MOST_LOOKS - 1):
                with suppress(Exception):
                    return iter(list(collector.collect()))
            return iter(list(collector.collect()))
