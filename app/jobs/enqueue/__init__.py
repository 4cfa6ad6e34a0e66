"""The first half of a job's way: validate > record > publish. `enqueuer` tells it."""
