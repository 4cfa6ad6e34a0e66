"""The first half of a job's way: validate > record > publish; `enqueuer` tells it.

It inserts rows and leaves all later changes of them to other rooms.
"""
