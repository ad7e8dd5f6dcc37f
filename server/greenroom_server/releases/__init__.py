"""What the release policy decides on: builds, evidence and what happened to them."""
