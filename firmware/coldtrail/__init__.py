"""Coldtrail: what runs on the tracker."""

VERSION = "0.1.0"
