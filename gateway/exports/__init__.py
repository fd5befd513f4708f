"""A shipment in the formats of other systems."""
