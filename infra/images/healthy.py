"""Whether what this container runs does its work; exit code 0 or 1, and a sentence. Started often: it imports little.

`healthy.py gateway`: GET /health responds that PostgreSQL, Redis and the object store do. `healthy.py worker`: it takes events.
`healthy.py function`: the function's server responds. `healthy.py broker`: its last sign of life (`infra/broker/heartbeat.py`) is young.
"""

import os
import socket
import sys
import time

SECONDS = 4.0
HEARTBEAT_SECONDS = 30.0
"""How old a broker's last sign of life may be: several that failed to come."""


def problem(program: str) -> str:
    """What is wrong, in a few words; empty if nothing is."""
    if program == "broker":
        return _heartbeat(os.environ.get("BROKER_HEARTBEAT", ""))
    if program == "gateway":
        status, body = _get(int(os.environ.get("PORT", "8080")), "/health")
        return "" if status == 200 and b'"status":"ok"' in body else f"{status} {body.decode(errors='replace')}"
    if program == "worker":
        status, body = _get(int(os.environ.get("WORKER_PORT", "8081")), "/health")
        return "" if status == 200 else f"{status} {body.decode(errors='replace')}"
    if program == "function":
        status, _ = _get(int(os.environ.get("PORT", "8080")), "/")
        return "" if 0 < status < 500 else f"{status}"
    return f"there is no check for {program!r}"


def _heartbeat(path: str) -> str:
    try:
        age = time.time() - os.stat(path).st_mtime
    except OSError:
        return "no sign of life yet"
    return "" if age < HEARTBEAT_SECONDS else f"the last sign of life is {age:.0f} s old"


def _get(port: int, path: str) -> tuple[int, bytes]:
    received = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            while chunk := connection.recv(65536):
                received += chunk
    except OSError as refused:
        return 0, str(refused).encode()
    head, _, body = received.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    return (int(status[0]) if status and status[0].isdigit() else 0), body


if __name__ == "__main__":
    wrong = problem(sys.argv[1] if len(sys.argv) > 1 else "")
    if wrong:
        sys.exit(wrong)
