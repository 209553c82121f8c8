"""What a model says of itself: to programs, and to people on its card."""
