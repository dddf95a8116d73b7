"""The ports: what the domain asks of the world, each a Protocol with one contract test suite."""
