"""The programs around a run: broker, gateway, clock server; they are found or fetched here."""
