"""Recorded jobs on their way to QStash: after the commit, in the background, or again."""
