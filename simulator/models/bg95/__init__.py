"""Quectel BG95 and BG96: LTE-M, NB-IoT and GSM module with TCP sockets, at its AT interface."""
