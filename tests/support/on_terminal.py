"""Runs a command on a pseudo-terminal of some width and writes what the terminal received.

python on_terminal.py COLUMNS FILE COMMAND...     each read becomes a line of FILE: seconds, then the text as JSON
"""
import fcntl
import json
import os
import pty
import struct
import sys
import termios
import time

columns, file, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    os.execvp(command[0], command)
with open(file, "w") as log:
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the terminal's other end is closed
            break
        print(time.monotonic(), json.dumps(part.decode(errors="replace")), file=log)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
