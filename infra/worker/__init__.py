"""The worker: hosts all event functions in one process, each under `/{service-name}`."""
