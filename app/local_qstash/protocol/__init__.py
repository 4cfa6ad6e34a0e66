"""What the headers of QStash's API say, how they are read, and how deliveries are signed."""
