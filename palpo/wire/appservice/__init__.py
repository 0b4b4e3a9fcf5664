"""What the server asks of application services (spec: application service API)."""
