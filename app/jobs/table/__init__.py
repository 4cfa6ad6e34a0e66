"""The table of jobs: the only room whose SQL writes `status`.

Other rooms call its functions; none writes SQL of its own that changes a job's state.
"""
