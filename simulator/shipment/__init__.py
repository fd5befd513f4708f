"""One shipment from end to end."""
