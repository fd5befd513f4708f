"""The results of a shipment: comparison, timeline, picture, summary."""
