"""Authoring: projects, environments, flags, their configuration per environment, and segments."""
