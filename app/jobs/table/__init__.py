"""The table of jobs: its rows, its state changes, what is counted in it, and the transactions.

Other rooms call its functions; SQL that changes a job's state belongs here.
"""
