"""What README and docs say is true: every block is run as it stands, every link leads somewhere."""
