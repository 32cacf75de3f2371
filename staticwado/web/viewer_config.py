"""What the viewer is told, and the types of its files; the server and the nginx file both read it."""

from collections.abc import Mapping
from typing import Any

from staticwado.web.options import ServerOptions

CONFIG_NAME = "app-config.js"
_QUERY_LIMIT = 1_000_000
"""OHIF pages on its own side and always asks with offset 0: it must ask for more than there is."""

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


def viewer_config(options: ServerOptions, *, rendered_documents: bool = True) -> dict[str, Any]:
    """OHIF's configuration for this server, as OHIF 3.13 reads it.

    `rendered_documents`: whether the host answers `/rendered` for documents; if not, OHIF reads the bulkdata.
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
        "staticWado": True,
        "supportsFuzzyMatching": True,
        "supportsWildcard": True,
        "supportsReject": False,
        "dicomUploadEnabled": False,
        "singlepart": "bulkdata,video,pdf" if rendered_documents else "bulkdata,video",
        "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
        "omitQuotationForMultipartRequest": True,
        # Segmentations are read frame by frame, which needs no second copy of them in the browser.
        "loadMultiframeAsPart10": False,
        "queryLimit": _QUERY_LIMIT,
    }
    return {
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
