"""Connections that a server holds: whether nginx keeps any is seen there, not guessed."""

from __future__ import annotations

import time
from pathlib import Path

from .client import Address
from .failure import MeasurementFailed

SETTLED_WITHIN_SECONDS = 5.0
# Linux, include/uapi/linux/net.h: SS_CONNECTED, as /proc/net/unix writes it.
CONNECTED = "03"


def established(address: Address) -> int:
    """Returns how many connections a server on a Unix socket has accepted and not closed."""
    count = 0
    for line in Path("/proc/net/unix").read_text(errors="replace").splitlines()[1:]:
        # proc_net(5): Num RefCount Protocol Flags Type St Inode Path; a client's socket has no path.
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[5] == CONNECTED and fields[7] == address.path:
            count += 1
    return count


def check_kept(address: Address, kept: bool) -> None:
    """Waits until a server without a request under way holds a connection, or none; fails if that does not come."""
    deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
    while (established(address) > 0) != kept:
        if time.monotonic() > deadline:
            raise MeasurementFailed(
                "nginx keeps no connection to the server" if kept else "nginx keeps connections to the server"
            )
        time.sleep(0.01)
