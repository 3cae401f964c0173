"""Starts a program as systemd starts a service with sockets (sd_listen_fds(3)).

activate.py CHANNEL NAMES PROGRAM ARGUMENT...: the sockets come over the Unix socket CHANNEL and become descriptors 3, 4
and so on. Without NAMES they are there, but nothing is said about them.
"""

import os
import socket
import sys

channel, names, *command = sys.argv[1:]
with socket.socket(socket.AF_UNIX) as stream:
    stream.connect(channel)
    _, received, _, _ = socket.recv_fds(stream, 1, 64)
for number, fd in enumerate(received, start=3):
    os.dup2(fd, number)
    os.close(fd)
if names:
    os.environ.update(LISTEN_FDS=str(len(received)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=names)
os.execvp(command[0], command)
