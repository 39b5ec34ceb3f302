"""`python -m infra.gateway`: serves the gateway with granian on HOST (127.0.0.1) and PORT (8080), until SIGTERM."""

from infra.serving import run

if __name__ == "__main__":
    run("infra.gateway.app:create", host_variable="HOST", port_variable="PORT", port=8080)
