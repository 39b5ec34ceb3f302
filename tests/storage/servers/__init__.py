"""Servers that speak the real protocols, for the backends to be tested on."""
