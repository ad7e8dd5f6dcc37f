"""Who may do what: tokens, what each kind of token is allowed, and the in-memory directory that answers requests."""
