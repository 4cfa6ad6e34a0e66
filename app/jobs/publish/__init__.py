"""Recorded jobs on their way to QStash: after the commit, in the background, or once more.

`qstash` alone talks to QStash, through its SDK. `outbox` publishes and notes the message ids, a
moment later; the others decide when.
"""
