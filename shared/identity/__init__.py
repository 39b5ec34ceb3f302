"""Who somebody is: passwords, tokens, sessions, second factors, limits on guessing.

Promises that hold across the package: only ES256 is accepted; every one-time thing is a conditional update in PostgreSQL, so a flushed
Redis makes nothing good again; a response never says whether an address is known; nothing secret is stored in the clear or logged.
"""
