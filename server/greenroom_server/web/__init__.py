"""The HTTP kit: what a route is, how a request is read and an answer is sent.

It knows no area, no store and no setting; what it needs from them it declares as protocols in `kit.py`.
"""
