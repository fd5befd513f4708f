"""Self-test: checks every part once against limits. Imported on request."""
