"""Policies and the decisions made by them: the only room that asks the decision core, and that keeps what it said.

Facts come from `releases`; what a policy means is `policy`'s to say.
"""
