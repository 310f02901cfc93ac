"""The API's description, and a page to read it in; all of it served by us."""

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path

OPENAPI = "/api/openapi.json"
DOCS = "/api/docs"
_ASSETS = f"{DOCS}/assets"

_PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Understudy: the API</title>
<link rel="stylesheet" href="{_ASSETS}/swagger-ui.css">
<link rel="icon" href="{_ASSETS}/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{_ASSETS}/swagger-ui-bundle.js"></script>
<script src="{DOCS}/start.js"></script>
</body>
</html>
"""
_START = f"""window.ui = SwaggerUIBundle({{
  url: "{DOCS}/openapi.json", dom_id: "#swagger-ui", deepLinking: true, persistAuthorization: false,
  validatorUrl: null, presets: [SwaggerUIBundle.presets.apis]
}});
"""
_POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"

router = APIRouter(include_in_schema=False)


def describe(app: FastAPI) -> None:
    """Serve the description of `app` and the page."""
    app.include_router(router)
    app.mount(_ASSETS, StaticFiles(directory=str(swagger_ui_path)), name="docs")

    @app.get(f"{DOCS}/openapi.json", include_in_schema=False)
    async def openapi_for_page() -> JSONResponse:
        """The page's program knows no OpenAPI 3.1 by its number; what we use of it, it shows."""
        return JSONResponse({**app.openapi(), "openapi": "3.0.3"})


@router.get("/")
async def go_to_docs() -> RedirectResponse:
    return RedirectResponse(DOCS)


@router.get(DOCS)
async def show_docs() -> HTMLResponse:
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get(f"{DOCS}/start.js")
async def start_docs() -> Response:
    return Response(_START, media_type="text/javascript")


SECURITY: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer", "description": "an administrator's token"},
    "password": {"type": "http", "scheme": "basic", "description": "address and password, or admin and his"},
}
