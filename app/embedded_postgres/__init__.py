"""An embedded PostgreSQL for development and tests: nothing to install or to set up."""
