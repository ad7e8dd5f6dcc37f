"""Permits: the right to deploy one digest to one place once, decided and reserved in one step; and break-glass.

Permits and break-glasses are facts (`releases`), so every decision sees them; what is decided is `decisions`' to say.
"""
