"""Logs, metrics and traces: how the server tells about itself, without telling secrets or who its users are."""
