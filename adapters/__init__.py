"""One file or small package per backend; each turns one library into one port.

``bridge`` is the one way from the event loop to blocking code; adapters share it and nothing else.
"""
