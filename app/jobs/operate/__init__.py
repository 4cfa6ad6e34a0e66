"""What people do to jobs, schedules and dead letters by hand, and how they see that all is well."""
