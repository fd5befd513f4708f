"""The programs around a run: broker, gateway, clock server; where to find or fetch them."""
