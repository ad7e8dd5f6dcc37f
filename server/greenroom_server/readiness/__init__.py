"""Whether a service could be switched to continuous deployment, the switch itself, and the figures of its delivery."""
