"""Checks of the images and the compose files; see ``docs/containers.md``. Run by ``just images``, not by pytest."""
