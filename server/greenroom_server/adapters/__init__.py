"""What other tools' gates ask, and how they are answered.

A *forge* (GitHub, GitLab, Azure Pipelines) asks once and waits: its question is a row, and a gatekeeper in every
server process decides on it, tells why it has to wait, decides again when something changed, and answers.
A *controller* (Argo Rollouts, Flagger) asks again and again, and is answered at once.
All of them get decisions like everybody else's.
"""
