"""Starts a program with a limit of open files, and with no descriptors but those that it is to inherit.

inherit.py LIMIT FIRST COUNT PROGRAM ARGUMENT...: besides the standard streams, COUNT descriptors are open, numbered from
FIRST on, as from a service manager or a shell that leaves its own open.
"""

import os
import resource
import sys

limit, first, count, *command = sys.argv[1:]
limit, first, count = int(limit), int(first), int(count)
os.closerange(3, max(int(number) for number in os.listdir("/proc/self/fd")) + 1)
null = os.open(os.devnull, os.O_RDONLY)
for number in range(first, first + count):
    os.dup2(null, number)
    os.set_inheritable(number, True)
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
os.execvp(command[0], command)
