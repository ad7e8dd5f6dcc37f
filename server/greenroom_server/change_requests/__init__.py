"""Four eyes on what environments serve: change requests, who approved them, and when they are applied."""
