"""Settings: what they are (``schema``), where they come from (``sources``), how they are shown (``display``)."""

from app.settings.schema import Settings
from app.settings.sources import ENVIRONMENTS, load_settings

__all__ = ["ENVIRONMENTS", "Settings", "load_settings"]
