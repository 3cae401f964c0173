"""Forks outside of any request, where `PLACE` says, and comes back as `HOW` says."""

import os
import signal

from forking import application, fork_and_end
from scoter import hooks

PLACE, HOW = os.environ["PLACE"], os.environ["HOW"]


def come_back(*arguments):
    fork_and_end(PLACE, HOW)


if PLACE == "import":
    come_back()
elif PLACE.startswith("SIG"):
    signal.signal(getattr(signal, PLACE), come_back)
else:
    getattr(hooks, PLACE)(come_back)
