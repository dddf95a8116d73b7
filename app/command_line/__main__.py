"""``python -m app.command_line`` is ``parlante``."""

from app.command_line import main

main()
