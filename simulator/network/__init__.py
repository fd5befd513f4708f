"""From the modem to the broker: real connections with modelled latency."""
