"""What clients get: evaluations (OFREP), snapshots and streams, all from memory and never from the database."""
