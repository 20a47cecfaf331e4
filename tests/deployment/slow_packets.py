"""Holds back what leaves by a link: the kernel queues the packets, this lets each go after a while, or drops it.

For kernels without netem. It speaks nfnetlink_queue's protocol by hand (linux/netfilter/nfnetlink_queue.h), since
the libraries for it are built against a C library that few machines have. Run inside the network of a container:

    nsenter -t PID -n python slow_packets.py QUEUE MILLISECONDS LOSS_PERCENT

It says `ready` once the queue is its own, and ends when its standard input does.
"""

from __future__ import annotations

import os
import random
import select
import socket
import struct
import sys
import time
from collections import deque

_NETLINK_NETFILTER = 12
_QUEUE = 3 << 8  # NFNL_SUBSYS_QUEUE
_PACKET, _VERDICT, _CONFIG = _QUEUE | 0, _QUEUE | 1, _QUEUE | 2
_REQUEST, _ACK = 1, 4
_CONFIG_COMMAND, _CONFIG_PARAMETERS, _CONFIG_LENGTH = 1, 2, 3
_BIND, _COPY_META = 1, 1
_PACKET_HEADER, _VERDICT_HEADER = 1, 2
_DROP, _ACCEPT = 0, 1
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_LONGEST_QUEUE = 10_000


def message(kind: int, flags: int, queue: int, attributes: bytes) -> bytes:
    """Return one message: netlink's header, nfnetlink's (family, version, queue), and attributes."""
    body = struct.pack("!BBH", socket.AF_UNSPEC, 0, queue) + attributes
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, 0, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + b"\0" * (-len(value) % 4)


def verdict(queue: int, packet: int, decision: int) -> bytes:
    """Return the message that lets a packet go, or drops it."""
    return message(
        _VERDICT, _REQUEST, queue, attribute(_VERDICT_HEADER, struct.pack("!II", decision, packet))
    )


def packets_in(data: bytes) -> list[int]:
    """Return the ids of the packets that the kernel hands over. Raises OSError where it reports an error."""
    found = []
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        if kind == 2 and (code := struct.unpack_from("=i", data, _HEADER.size)[0]):  # NLMSG_ERROR
            raise OSError(-code, "The kernel refuses")
        if kind == _PACKET:
            found.append(_packet_id(data[_HEADER.size + 4 : length]))
        data = data[(length + 3) & ~3 :]
    return found


def _packet_id(attributes: bytes) -> int:
    while attributes:
        length, kind = _ATTRIBUTE.unpack_from(attributes)
        if kind & 0x7FFF == _PACKET_HEADER:
            return int(struct.unpack_from("!I", attributes, _ATTRIBUTE.size)[0])
        attributes = attributes[(length + 3) & ~3 :]
    raise ValueError("a packet without a header")


def hold_back(queue: int, delay_s: float, loss: float) -> None:
    """Take the queue, and decide on its packets until standard input ends."""
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
    kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    for settings in (
        attribute(_CONFIG_COMMAND, struct.pack("!BBH", _BIND, 0, socket.AF_UNSPEC)),
        attribute(_CONFIG_PARAMETERS, struct.pack("!IB", 0, _COPY_META)),
        attribute(_CONFIG_LENGTH, struct.pack("!I", _LONGEST_QUEUE)),
    ):
        kernel.send(message(_CONFIG, _REQUEST | _ACK, queue, settings))
        packets_in(kernel.recv(1 << 16))
    print("ready", flush=True)
    held: deque[tuple[float, int]] = deque()
    while True:
        wait_s = max(0.0, held[0][0] - time.monotonic()) if held else None
        readable = select.select([kernel, sys.stdin], [], [], wait_s)[0]
        if sys.stdin in readable and not os.read(sys.stdin.fileno(), 1024):
            return
        if kernel in readable:
            due_at = time.monotonic() + delay_s
            held.extend((due_at, packet) for packet in packets_in(kernel.recv(1 << 20)))
        while held and held[0][0] <= time.monotonic():
            decision = _DROP if random.random() < loss else _ACCEPT
            kernel.send(verdict(queue, held.popleft()[1], decision))


if __name__ == "__main__":
    hold_back(int(sys.argv[1]), float(sys.argv[2]) / 1000, float(sys.argv[3]) / 100)
