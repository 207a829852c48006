"""A script: hands its stdin and stdout to a fork of the process that listens, and ends with it. Imports no package."""

import os
import signal
import socket
import sys


def main(listener: str) -> None:
    # Ctrl-C goes to all processes: the fork answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(listener)
        socket.send_fds(connection, [b"0"], [0, 1])
        # They are to close with the fork's.
        os.close(0)
        os.close(1)
        connection.recv(1)


if __name__ == "__main__":
    main(sys.argv[1])
