"""Documents in a cloud of the owner's: connections to it, what is taken from there and brought there, and where each document lives."""
