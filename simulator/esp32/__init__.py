"""The ESP32 as its MicroPython port shows it, and the interpreters that run the firmware."""
