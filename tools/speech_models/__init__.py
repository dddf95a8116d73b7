"""Train, export and judge the small speech models of the tests: ``python -m tools.speech_models --help``."""
