"""What a live stream says, on a terminal or as plain lines."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

_A_SECOND: Final = 12


class LiveDisplay:
    """Shows events: the open utterance as it grows, finals on lines of their own, lag as a warning.

    Where the output is no terminal, each partial is a line too, its unstable part in brackets.
    """

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._warnings = Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, refresh_per_second=_A_SECOND, transient=True)

    def __enter__(self) -> LiveDisplay:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, event: dict[str, Any]) -> None:
        """Show an event; those that say nothing to a reader are passed over."""
        match event["type"]:
            case "partial":
                self._partial(event)
            case "final":
                self._live.update("")
                self._line(f"{_time(event['start'])} – {_time(event['end'])}  ", event["text"])
            case "lag":
                message = f"the service is {event['seconds']:.1f} s behind"
                console = self._console if self._console.is_terminal else self._warnings
                console.print(Text(message, style="yellow"), soft_wrap=True)
            case "transcription":
                self._live.update("")
                self._line("", f"{event['duration']:.1f} s, language {event['language']}", style="dim")

    def _partial(self, event: dict[str, Any]) -> None:
        if self._console.is_terminal:
            gap = " " if event["text"] and event["unstable"] else ""
            self._live.update(Text.assemble(event["text"], gap, (event["unstable"], "dim")))
        else:
            unstable = f"[{event['unstable']}]" if event["unstable"] else ""
            self._line(f"{_time(event['start'])} …  ", f"{event['text']} {unstable}".strip())

    def _line(self, times: str, text: str, style: str = "") -> None:
        self._console.print(Text.assemble((times, "cyan"), (text, style)), soft_wrap=True)


def _time(seconds: float) -> str:
    """Minutes and seconds: ``1:02.5``."""
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{minutes:.0f}:{rest:04.1f}"
