"""Outgoing webhooks: destinations of a project, and the sender that tells them what happened."""
