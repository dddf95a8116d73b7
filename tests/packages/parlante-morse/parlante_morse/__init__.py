"""Morse code as a synthesizer and a transcriber."""
