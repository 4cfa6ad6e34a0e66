"""The first half of a job's life: validate > record > publish; start at `enqueuer`.

It inserts rows and leaves all later changes to other rooms.
"""
