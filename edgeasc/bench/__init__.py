"""Clocks: latency on this machine, each runtime in a process of its own, with the machine recorded."""
