"""Roles and migrations of PostgreSQL."""
