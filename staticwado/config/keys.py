"""How the options of all commands are spelled: sections and keys of the file, environment variables.

One rule: names only, no meaning. A test compares these tables with the options that exist.
"""

import difflib
from collections.abc import Iterable, Mapping

BASE = "staticWadoConfig"
"""The section on which all others rest."""
AE_SECTION = "aeConfig"
FILE_NAME = "static-wado.json5"
ENVIRONMENT_PREFIX = "STATICWADO_"

OPTION_KEYS: Mapping[str, frozenset[str]] = {
    BASE: frozenset({"rootDir"}),
    "mkdicomwebConfig": frozenset(
        "jobs thumbnails strict dryRun force quarantine frames transcode trashRetention dask".split()
    ),
    "dicomWebServerConfig": frozenset(
        "host port serverPath clientPath publicUrl viewer workers tlsCert tlsKey open auth "
        "allowedOrigins accessLog "
        "cacheSize decoders decodeTimeout resultCacheSize state keepAlive stallTimeout maxHeader "
        "store onConflict maxBody maxPart maxParts maxDataset "
        "delete trashRetention searchTimeout maxResults settleAfter "
        "accessLogFile maxConnections bodyTimeout maxStores minFree".split()
    ),
    "dicomWebScpConfig": frozenset({"aet", "port"}),
    "deployConfig": frozenset({"endpointUrl"}),
}
"""The keys of each section: its command's options as they are spelled in the file."""

LATER_KEYS: Mapping[str, frozenset[str]] = {
    "dicomWebServerConfig": frozenset({"proxyAe", "queryAe", "callingAe"}),
}
"""Keys that are right and have no effect in this release: each earns a warning."""

PREDECESSOR_KEYS: Mapping[str, frozenset[str]] = {
    BASE: frozenset(
        "pathDeduplicated pathInstances configurationFile recompress recompressThumb compress studyQuery "
        "staticWadoAe notificationDir groupNames rootGroup instanceGroup clientGroup deployPlugin "
        "deployNotificationName deployments s3Env clientDir".split()
    ),
    "mkdicomwebConfig": frozenset(
        "clean deployments notifications delete lossy alternate alternateThumbnail alternateName verbose "
        "showProgress contentType colorContentType encapsulatedImage singlePartImage recompress "
        "recompressColor maximumInlinePublicLength maximumInlinePrivateLength recompressThumb thumb dcm2jpg "
        "rendered deleteInput deleteFailed pathDeduplicated pathInstances storeMultipartBulkData "
        "prependBulkDataUri expandBulkDataUri quiet multipart verify sopInstanceUid seriesInstanceUid "
        "hashStudyUidPath index programs".split()
    ),
    "dicomWebServerConfig": frozenset(
        "clientDir serverTimeoutMs stowCommands corsOptions disableSummary sizeBulkdataTags studyIndex "
        "sizePrivateBulkdataTags createIndexOnDemand maxUnsettledReceives maxUnsettledStreamWrites "
        "backPressureTimeoutMs backpressureWaitMs backpressureMaxBytes messaging validateInstance "
        "webserverPlugins rootGroup clientGroup hashStudyUidPath".split()
    ),
    "dicomWebScpConfig": frozenset(
        "maximumInlinePublicLength maximumInlinePrivateLength isGroup isDeduplicate isStudyData "
        "options".split()
    ),
    "deployConfig": frozenset({"deployments"}),
}
"""Keys that a configuration of Static-DICOMWeb may hold and that have no use here: each earns a warning."""


def key_of(name: str) -> str:
    """The key in the file of the option `name` (snake_case)."""
    if name == "dir":
        return "rootDir"
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def variable_of(name: str) -> str:
    """The environment variable of the option `name`."""
    return ENVIRONMENT_PREFIX + name.upper()


def name_of(key: str) -> str:
    """The option that `key` spells: the reverse of `key_of`."""
    if key == "rootDir":
        return "dir"
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)


def variables() -> frozenset[str]:
    """Every environment variable that a command reads."""
    options = {name_of(key) for keys in OPTION_KEYS.values() for key in keys}
    return frozenset(variable_of(name) for name in options | {"config", "debug"})


def hint(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?` if a known name is close to `name`, whatever case and underscores; else nothing."""
    plain = {candidate.replace("_", "").lower(): candidate for candidate in sorted(known)}
    close = difflib.get_close_matches(name.replace("_", "").lower(), plain, n=1)
    return f"; did you mean {plain[close[0]]}?" if close else ""
