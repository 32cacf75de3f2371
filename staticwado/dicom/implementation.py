"""Who wrote a Part 10 file: how this program names itself (PS3.7 D.3.3.2, PS3.10 7.1)."""

from staticwado import __version__

IMPLEMENTATION_CLASS_UID = "2.25.179851874572874102602671731188774424321"
"""Made once, from a UUID (PS3.5 B.2), for all versions."""

IMPLEMENTATION_VERSION_NAME = f"STATICWADO {__version__}"[:16]
