"""Judging: the profile's rules, alarms, trend."""
