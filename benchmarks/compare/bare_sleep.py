"""Lets threads sleep and do nothing else; prints sleeps a second, and the CPU microseconds of one.

Run by the Python of the servers: bare_sleep.py THREADS SECONDS SLEEPS, with as many sleeps for each thread
"""

from __future__ import annotations

import sys
import threading
import time


def main() -> None:
    threads, seconds, sleeps = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    rates: list[float] = []

    def sleep() -> None:
        begin = time.perf_counter()
        for _ in range(sleeps):
            time.sleep(seconds)
        rates.append(sleeps / (time.perf_counter() - begin))

    sleepers = [threading.Thread(target=sleep) for _ in range(threads)]
    begin = time.process_time()
    for sleeper in sleepers:
        sleeper.start()
    for sleeper in sleepers:
        sleeper.join()
    print(sum(rates), (time.process_time() - begin) / (threads * sleeps) * 1e6)


if __name__ == "__main__":
    main()
