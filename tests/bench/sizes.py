"""How much is measured: a full run, a quick one for looking whether it works, and next to nothing for a test."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Numbers of mails and seconds; every loop of the bench is bounded by one of them."""

    drain_mails: int = 5000
    drain_rounds: int = 3
    drain_limit_s: float = 30.0
    far_mails: int = 5000
    far_limit_s: float = 12.0
    latency_s: float = 30.0
    latency_rate: float = 20.0
    accept_s: float = 4.0
    accept_rounds: int = 7
    accept_connections: int = 32
    growth: tuple[int, ...] = (1_000, 10_000, 100_000)
    growth_rounds: int = 3
    growth_limit_s: float = 180.0
    memory_mails: int = 10_000
    expiry_lifetime_s: float = 8.0
    footprint_verifications: int = 1000
    master_verifications: int = 5000
    master_idle_s: float = 5.0


FULL = Sizes()
QUICK = Sizes(
    drain_mails=1500,
    drain_rounds=1,
    drain_limit_s=10,
    far_mails=1500,
    far_limit_s=5,
    latency_s=6,
    accept_s=2,
    accept_rounds=1,
    growth=(500, 5_000),
    growth_rounds=1,
    memory_mails=2000,
    footprint_verifications=100,
    master_verifications=1000,
    master_idle_s=3.0,
)
TINY = Sizes(
    drain_mails=200,
    drain_rounds=1,
    drain_limit_s=5,
    far_mails=60,
    far_limit_s=3,
    latency_s=1.5,
    accept_s=2,
    accept_rounds=1,
    accept_connections=8,
    growth=(100, 300),
    growth_rounds=1,
    growth_limit_s=20,
    memory_mails=300,
    expiry_lifetime_s=2.0,
    footprint_verifications=20,
    master_verifications=60,
    master_idle_s=0.5,
)
