"""The second half of a job's life: verify > parse > claim > execute > record; `executor` tells it.

It answers QStash's deliveries and runs handlers; it changes a row by claims and outcomes alone.
"""
