"""Sources beside the archive: is the file that the archive would give back this very file?

One rule: a source is equal only if the SHA-256 of the whole of it is the one that its instance's skeleton
holds; whether the archive can still give that file back is what the look at the instance says.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing

from staticwado import layout
from staticwado.archive import Archive
from staticwado.dicomweb.resource import Resource, View
from staticwado.errors import NotDicom, NotFound, StaticWadoError, StoreUnavailable
from staticwado.ingest.copying import Buffer, hash_source
from staticwado.ingest.skeleton import parse_skeleton
from staticwado.ingest.source import AnySource, OpenArchives
from staticwado.ingest.verify.findings import Compared, Match
from staticwado.ingest.write import BatchWriter


def compare(archive: Archive, sources: tuple[AnySource, ...]) -> Iterator[Compared]:
    """How each of `sources` fares; nothing is written but temporary files of the system."""
    with closing(_Comparison(archive)) as one:
        for source in sources:
            yield one.of(source)


class _Comparison:
    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._writer = BatchWriter(archive, thumbnails=False, dry_run=True)
        self._archives = OpenArchives()
        self._buffer = Buffer()

    def close(self) -> None:
        self._archives.close()
        self._writer.close()

    def of(self, source: AnySource) -> Compared:
        try:
            return self._compare(source)
        except NotDicom as error:
            # what was named was meant to be DICOM
            match = Match.UNREADABLE if source.named else Match.NO_DICOM
            return Compared(source.name, match, str(error), size=source.size)
        except StoreUnavailable as error:
            return Compared(source.name, Match.UNREADABLE, str(error), size=source.size)
        except StaticWadoError as error:
            detail = f"it is no instance that the archive could have: {error}"
            return Compared(source.name, Match.MISSING, detail, size=source.size)
        except Exception as error:  # whatever it is, it costs the one source, and is said
            detail = f"unexpected {type(error).__name__}: {error}"
            return Compared(source.name, Match.UNREADABLE, detail, size=source.size)

    def _compare(self, source: AnySource) -> Compared:
        with ExitStack() as stack:
            file = stack.enter_context(source.open(self._archives))
            try:
                converted = self._writer.converter.convert(file)
            finally:
                self._writer.reset()
            uids = (converted.study, converted.series, converted.instance)
            sha256 = hash_source(file, self._buffer)
            size = file.size
        match, detail = self._kept(uids, sha256)
        return Compared(source.name, match, detail, uids, size)

    def _kept(self, uids: tuple[str, str, str], sha256: str) -> tuple[Match, str]:
        if not self._archive.exists(*uids):
            return Match.MISSING, f"the archive has no {layout.folder_of(*uids)}"
        try:
            kept = parse_skeleton(self._archive.read(Resource(View.SKELETON, *uids)))
        except (NotFound, StoreUnavailable) as error:
            return Match.DIFFERS, f"the archive's instance is damaged: {error}"
        if kept.sha256 != sha256:
            return Match.DIFFERS, "the archive has this instance from a file with another content"
        return Match.EQUAL, ""
