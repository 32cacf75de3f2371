"""Every exception raised on purpose.

One rule: an error here knows no HTTP status, no DIMSE status and no exit code; the edges map them.
"""


class StaticWadoError(Exception):
    """The base of every error that this package raises on purpose."""


class NotDicom(StaticWadoError):
    """The input is not a DICOM file (PS3.10) and holds no recognisable data set."""


class BrokenDicom(StaticWadoError):
    """The input is DICOM, but is cut short or so malformed that storing it would lose data."""


class Unsupported(StaticWadoError):
    """The input is well-formed, but this program cannot keep or answer it."""


class InvalidUid(StaticWadoError):
    """A UID is missing or is no UID (PS3.5 9.1), so it must not become a path."""


class Conflict(StaticWadoError):
    """The archive holds the same SOP Instance UID with other content."""


class Mismatch(Conflict):
    """The input is an instance of another study than the one it was sent to."""


class MissingBulkdata(BrokenDicom):
    """A data set refers to bulkdata that did not come with it."""


class NotFound(StaticWadoError):
    """What was asked for is not in the archive; never used for "could not be read"."""


class Gone(NotFound):
    """What was asked for was in the archive and has been deleted."""


class BadRequest(StaticWadoError):
    """A request, a path or a parameter that makes no sense; the message names it."""


class TooMuch(StaticWadoError):
    """A request that makes sense, but would take more work or memory than one request may."""


class TookTooLong(StaticWadoError):
    """A request that was stopped because it took longer than one request may."""


class TooSlow(StaticWadoError):
    """A request whose body comes so slowly that it is not waited for."""


class Unauthenticated(StaticWadoError):
    """A request that does not say, or does not prove, who makes it."""


class Forbidden(StaticWadoError):
    """A request of somebody who has no right to it; it never tells whether what it names exists."""


class UnsupportedMedia(StaticWadoError):
    """A request whose body is of a type that cannot be taken in (PS3.18 8.7)."""


class NotAcceptable(StaticWadoError):
    """Nothing that can be offered fits what the client accepts (PS3.18 8.7.8)."""


class IssuerUnavailable(StaticWadoError):
    """Who makes a request cannot be found out now, because the issuer of logins does not answer."""


class StoreUnavailable(StaticWadoError):
    """Bytes could not be read or written: no space, no permission, an I/O error, a damaged file."""


class Busy(StoreUnavailable):
    """A request that is refused only because too much is under way; the same again later may succeed."""


class ConfigurationError(StaticWadoError):
    """A configuration file, an environment variable or a flag that cannot be used."""
