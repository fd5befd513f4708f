"""The world around the tracker: journey, weather, shipper, motion."""
