"""Jobs that belong together: recorded in one transaction, with what follows their end."""
