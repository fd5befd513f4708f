"""Who a tracker is: identity, keys, certificates, calibrations."""
