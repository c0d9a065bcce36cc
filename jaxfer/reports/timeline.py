"""What was predicted over a video, for a terminal: a line where an expression changes, and what came of each face."""

from dataclasses import dataclass, field

from jaxfer.inference.video import VideoFrame
from jaxfer.reports.predictions import face_in_words, shown_name
from jaxfer.reports.words import counted, in_a_line, percent, printable

PAUSE = 1.0
"""Seconds between two lines of one face, at least."""

LISTED = 20
"""Faces of a video that the summary lists: those seen for longest."""

MOST = 1000
"""Faces of a video that are kept, about: of a street, over a day, there is no end of them."""


@dataclass
class _Seen:
    """A face of a video: from when to when, for how many seconds by label, and what was printed of it last, when."""

    first: float
    last: float
    seconds: dict[str, float] = field(default_factory=dict)
    label: str = ""
    printed: float = 0.0

    @property
    def shares(self) -> list[tuple[str, float]]:
        """The share of each label, the largest first; one that was seen once has nothing but its label."""
        total = sum(self.seconds.values())
        longest = sorted(self.seconds.items(), key=lambda item: -item[1])
        return [(name, value / total) for name, value in longest] if total else [(self.label, 1.0)]


class Timeline:
    """Says what was predicted over a video, in a memory that does not grow with its length.

    Args:
        top: How many classes are named of each face, the most probable first.
    """

    def __init__(self, top: int = 1) -> None:
        self._top = top
        self._name = ""
        self._frames = 0
        self._time = 0.0
        self._faces: dict[int, _Seen] = {}
        self._others = 0

    def lines(self, found: VideoFrame) -> list[str]:
        """Take the next picture, and return the lines that it is worth: those of faces whose label has changed."""
        if found.problem:
            return [f"{shown_name(found)}: {printable(found.problem)}"]
        lines = []
        if not self._frames:
            self._name = shown_name(found)
            lines = [f"{self._name}: {found.size[0]} x {found.size[1]} pixels"]
        self._frames += 1
        self._time = found.time
        for face in found.faces:
            seen = self._faces.setdefault(face.track or 0, _Seen(found.time, found.time))
            seen.seconds[face.label] = seen.seconds.get(face.label, 0.0) + found.time - seen.last
            seen.last = found.time
            if face.label != seen.label and (not seen.label or found.time - seen.printed >= PAUSE):
                lines.append(f"  {clock(found.time)}  {face.track}: {face_in_words(face, self._top)}")
                seen.label, seen.printed = face.label, found.time
        if len(self._faces) > 2 * MOST:
            self._forget()
        return lines

    def summary(self) -> list[str]:
        """Return the lines for after the last picture: of each face from when to when, and how long it had which label.

        No line where there was no picture.
        """
        if not self._frames:
            return []
        count = len(self._faces) + self._others
        faces = counted(count, "face") if count else "no face"
        lines = [f"{self._name}: {faces} in {self._frames:,} frames, until {clock(self._time)}"]
        listed = sorted(sorted(self._faces, key=self._length)[-LISTED:])
        for track in listed:
            seen = self._faces[track]
            shares = ", ".join(f"{in_a_line(label)} for {percent(share)}" for label, share in seen.shares)
            lines.append(f"  {track}: from {clock(seen.first)} to {clock(seen.last)}: {shares} of the time")
        if count > len(listed):
            lines.append(f"  and {count - len(listed):,} more, seen for less long")
        return lines

    def _length(self, track: int) -> float:
        seen = self._faces[track]
        return seen.last - seen.first

    def _forget(self) -> None:
        """Keep the faces seen for longest, and those in sight."""
        shortest = sorted(self._faces, key=self._length)[:-MOST]
        gone = [track for track in shortest if self._time - self._faces[track].last > PAUSE]
        for track in gone:
            del self._faces[track]
        self._others += len(gone)


def clock(seconds: float) -> str:
    """Return a time in a video.

    >>> clock(3.2), clock(75.456), clock(3661)
    ('0:03.20', '1:15.46', '1:01:01.00')
    """
    minutes, hundredths = divmod(round(seconds * 100), 6000)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{start}:{hundredths / 100:05.2f}"
