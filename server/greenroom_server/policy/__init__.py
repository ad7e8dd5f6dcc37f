"""The decision core: may this build go there, may this flag be released to them? Pure: no I/O, clock or randomness.

The rest of the server hands it facts and a moment, and stores what it says. docs/release-policy.md is its contract.
"""
