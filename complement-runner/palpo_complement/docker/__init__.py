"""Building the image under test, for runs in real Docker."""
