"""HTTP servers that speak the protocols of AI providers, as their documentation and SDKs have them: for tests, over real sockets."""
