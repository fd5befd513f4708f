"""The ESP32 as seen through its MicroPython port, and the interpreters that run the firmware."""
