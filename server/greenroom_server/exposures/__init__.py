"""What applications report: exposures, counts, outcomes and themselves; and what people learn from it."""
