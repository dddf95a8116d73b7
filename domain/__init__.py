"""The language of the service: what audio, transcripts, voices and stored objects are, and what is done with them.

Imports the standard library, msgspec and numpy only. Engines and stores live in ``adapters``, HTTP in ``app``.
"""
