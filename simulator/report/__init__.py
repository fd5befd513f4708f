"""What came of a shipment: comparison, timeline, picture, summary."""
