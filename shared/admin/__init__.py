"""What admins see and set for everyone."""
