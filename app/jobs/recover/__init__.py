"""What crashes, outages and messages that QStash has given up leave behind, put right."""
