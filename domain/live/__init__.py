"""Live transcription: from a stream of sound to words that stand, while people speak.

``endpointing`` cuts the sound into utterances, ``agreement`` says which words of a growing transcript stand,
``utterance`` holds one that is open, ``turns`` shares the engine between streams, ``session`` runs one stream.
"""
