"""What Stripe's events mean: their shapes, their effects, and what is asked of Stripe."""
