"""The one store: PostgreSQL, embedded or given by URL. Driver errors stop here and leave as `errors`."""
