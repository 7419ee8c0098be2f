"""Microcontrollers: the generated C as firmware, built for a chip's memory and run under emulation."""
