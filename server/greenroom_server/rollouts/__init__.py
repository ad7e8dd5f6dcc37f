"""Named releases: flags that go live together, step by step, when the business says so and as long as all is well."""
