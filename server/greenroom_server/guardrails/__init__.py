"""Guardrails: what stops a release by itself, from Prometheus, alerts and what Greenroom's own applications report."""
