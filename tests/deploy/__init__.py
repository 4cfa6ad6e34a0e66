"""What docs/deploy.md says of images, locks and units."""
