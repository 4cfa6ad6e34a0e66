"""What people do to jobs, schedules and dead letters by hand, and how they see that all is well.

The CLI and the pages call it; it prints nothing. What it changes, it notes in the audit table.
"""
