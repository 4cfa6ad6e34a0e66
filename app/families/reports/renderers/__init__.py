"""One module for each format: a function `render` from a `Report` to bytes."""
