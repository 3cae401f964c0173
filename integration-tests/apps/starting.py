"""Starts processes while it is imported: `KIND` says which."""

import multiprocessing
import os
import signal
import time

from probe import event, plain

context = multiprocessing.get_context("fork")


def lives(ignored=()):
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    event(f"process {os.getpid()}")
    while True:
        time.sleep(60)


KIND = os.environ["KIND"]
if KIND == "process":
    context.Process(target=lives).start()
elif KIND == "stubborn":
    context.Process(target=lives, args=([signal.SIGTERM],)).start()
elif KIND == "daemon":
    context.Process(target=lives, daemon=True).start()
elif KIND == "manager":
    manager = context.Manager()
    shared = manager.dict(answer=42)
    event(f"process {manager._process.pid}")
elif KIND == "fork":
    if os.fork() == 0:
        lives()


def application(environ, start_response):
    return plain(start_response, str(shared["answer"]) if KIND == "manager" else "42")
