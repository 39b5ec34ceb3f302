"""Whether a server could listen on a port now."""

import socket


def check_port(host: str, port: int) -> None:
    """Raises OSError if it could not: EADDRINUSE if somebody listens there, EACCES if only root may, others if the host is another one."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
