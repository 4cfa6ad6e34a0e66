"""From a payload to what its handler gets, and what is hidden of it: sealed, masked, scrubbed."""
