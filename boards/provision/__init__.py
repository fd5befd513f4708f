"""The identity of a tracker: id, keys, certificates, calibrations."""
