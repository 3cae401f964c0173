"""Applications that start processes, which inherit whatever isn't kept from them."""

import multiprocessing
import os
import subprocess

from probe import by_path, gate, plain, wait_at


def forks(environ, start_response):
    """Leaves a copy of the process behind, with all its files."""
    with gate("child") as pipe:
        if os.fork() == 0:
            try:
                pipe.read(1)
            finally:
                os._exit(0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"forked"


def executes(environ, start_response):
    """Leaves another program behind, with every file that isn't closed on exec."""
    with gate("child") as pipe:
        subprocess.Popen(["cat"], close_fds=False, stdin=pipe, stdout=subprocess.DEVNULL)
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"executed"


def terminates(environ, start_response):
    """Ends a child at once, perhaps before it has begun."""
    child = multiprocessing.get_context("fork").Process(target=wait_at, args=["never"])
    child.start()
    child.terminate()
    child.join(10)
    return plain(start_response, str(child.exitcode))


def inherits(environ, start_response):
    """Answers with the files that another program has from this process, besides the standard ones."""
    command = ["sh", "-c", "for fd in /proc/$$/fd/*; do echo ${fd##*/} $(readlink $fd); done"]
    listed = subprocess.run(command, close_fds=False, capture_output=True, text=True).stdout
    return plain(start_response, "\n".join(line for line in listed.splitlines() if int(line.split()[0]) > 2))


def scheduling():
    """Names how the kernel schedules this thread."""
    names = {os.SCHED_OTHER: "other", os.SCHED_BATCH: "batch", os.SCHED_IDLE: "idle"}
    return names[os.sched_getscheduler(0)]


def schedules(environ, start_response):
    """Answers with how the kernel schedules this thread."""
    return plain(start_response, scheduling())


def child_schedules(environ, start_response):
    """Answers with how the kernel schedules a child of this thread."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return plain(start_response, pool.apply(scheduling))


def nice(environ, start_response):
    """Answers with the niceness of this thread."""
    return plain(start_response, str(os.nice(0)))


def quick(environ, start_response):
    return plain(start_response, "quick")


application = by_path(forks, executes, inherits, terminates, schedules, child_schedules, nice, quick)
