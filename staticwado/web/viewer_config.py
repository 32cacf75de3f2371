"""What the viewer is told, and the types of its files; the server and the nginx file both read it."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

from staticwado.web.auth.identity import Right
from staticwado.web.options import ServerOptions

CONFIG_NAME = "app-config.js"
_QUERY_LIMIT = 1_000
"""OHIF asks once, with offset 0, and sorts and pages what came: the latest studies, which filters narrow."""
_EVERYTHING = 1_000_000
"""What a host gives that cannot filter; OHIF takes no more than this limit from it."""

MEDIA_TYPES: Mapping[str, str] = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
    "map": "application/json",
    "webmanifest": "application/manifest+json",
    "xml": "text/xml; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "md": "text/plain; charset=utf-8",
    "wasm": "application/wasm",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "ico": "image/x-icon",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "ttf": "font/ttf",
    "mp4": "video/mp4",
    "onnx": "application/octet-stream",
}
"""Suffix -> Content-Type of a viewer's file; the same on every machine."""


def viewer_config(options: ServerOptions, *, static_host: bool = False) -> dict[str, Any]:
    """OHIF's configuration, as OHIF 3.13 reads it.

    `static_host`: whether files are all that the host gives. OHIF then filters lists itself and shows
    documents from their bulkdata, not from `/rendered`.
    """
    root = options.public_prefix + options.server_prefix
    source = {
        "friendlyName": "Studies on this server",
        "name": "staticwado",
        "qidoRoot": root,
        "wadoRoot": root,
        "wadoUriRoot": root,
        "imageRendering": "wadors",
        "thumbnailRendering": "thumbnail",
        "thumbnailRequestStrategy": "fetch",
        "enableStudyLazyLoad": True,
        "staticWado": static_host,
        # Where OHIF filters itself, fuzzy matching and wildcards together find no name at all.
        "supportsFuzzyMatching": not static_host,
        "supportsWildcard": True,
        "supportsReject": False,
        "dicomUploadEnabled": _is_storable(options) and not static_host,
        "singlepart": _elements(options, static_host),
        "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
        "omitQuotationForMultipartRequest": True,
        # Segmentations are read frame by frame, which needs no second copy of them in the browser.
        "loadMultiframeAsPart10": False,
        "queryLimit": _EVERYTHING if static_host else _QUERY_LIMIT,
    }
    return {
        **_login(options),
        "name": "staticwado",
        "routerBasename": f"{options.public_prefix}{options.client_prefix}" or "/",
        "extensions": [],
        "modes": [],
        "customizationService": {},
        "showStudyList": True,
        "showWarningMessageForCrossOrigin": False,
        "showCPUFallbackMessage": True,
        "showLoadingIndicator": True,
        "maxNumberOfWebWorkers": 3,
        "maxNumRequests": {"interaction": 100, "thumbnail": 5, "prefetch": 25},
        "defaultDataSourceName": "staticwado",
        "dataSources": [
            {
                "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
                "sourceName": "staticwado",
                "configuration": source,
            }
        ],
    }


def _is_storable(options: ServerOptions) -> bool:
    """Whether anybody who uses the viewer may store; who that is, its configuration cannot know."""
    if options.auth is None or not options.store:
        return options.store
    given = (one.rights for one in options.auth.rules), (one.rights for one in options.auth.users)
    return any(Right.STORE in rights for rights in chain(*given))


def _elements(options: ServerOptions, static_host: bool) -> str:
    """What elements of OHIF's page fetch by themselves: nothing where a token is needed, which they do not
    send. Passwords (Basic) the browser itself sends along.
    """
    if options.auth is not None and options.auth.oidc is not None:
        return "bulkdata"
    return "bulkdata,video" if static_host else "bulkdata,video,pdf"


def _login(options: ServerOptions) -> dict[str, Any]:
    """How OHIF logs in: authorisation code with PKCE (RFC 7636), which needs no secret."""
    oidc = options.auth.oidc if options.auth is not None else None
    if oidc is None or oidc.client_id is None:
        return {}
    client = {
        "authority": oidc.url,
        "client_id": oidc.client_id,
        "response_type": "code",
        "scope": oidc.scope,
        # Relative to the viewer's place, as the browser sees it.
        "redirect_uri": "/callback",
        "post_logout_redirect_uri": "/logout-redirect",
        "automaticSilentRenew": True,
        "revokeAccessTokenOnSignout": True,
    }
    return {"oidc": [client | ({"extraQueryParams": dict(oidc.parameters)} if oidc.parameters else {})]}
