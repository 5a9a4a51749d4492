"""Pages: the viewer, and the way in and out."""

from __future__ import annotations

import contextlib
import html
import ipaddress
from urllib.parse import parse_qs, quote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from stagetwin._errors import AccessError, ServiceError
from stagetwin.gateway._config import is_loopback
from stagetwin.gateway._door import Door
from stagetwin.gateway._files import Files
from stagetwin.gateway._parsing import parse_object
from stagetwin.gateway._problems import Json, problem

__all__ = ["Pages"]

_STYLE = """
:root { color-scheme: light dark; font-family: system-ui, sans-serif; }
body { display: grid; min-height: 100vh; margin: 0; place-items: center; }
main { width: min(22rem, 90vw); }
h1 { font-size: 1.3rem; }
label, input, button { display: block; width: 100%; box-sizing: border-box; }
label { margin-top: 1rem; }
input, button { margin-top: .3rem; padding: .6rem; font: inherit; }
button { margin-top: 1.4rem; }
.error { color: #b3261e; }
@media (prefers-color-scheme: dark) { .error { color: #f2b8b5; } }
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/login.css">
<link rel="icon" href="data:,">
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""

_AGAIN = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={here}">
<title>stagetwin</title>
</head>
<body><a href="{here}">Go on</a></body>
</html>
"""

_ACCOUNT = """<form method="post" action="/login">
<input type="hidden" name="next" value="{next}">
<label for="name">Name</label>
<input id="name" name="name" autocomplete="username" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">Log in</button>
</form>"""

_WORD = """<form method="post" action="/login">
<input type="hidden" name="next" value="{next}">
<input type="hidden" name="token" value="{token}">
<p>This lets this browser look at the plant as its owner.</p>
<button type="submit" autofocus>Enter</button>
</form>"""

_NO_WORD = "<p>Run <code>stagetwin open STAGE</code> and follow the link that it prints.</p>"

_NO_VIEWER = "<p>The browser viewer is not part of this installation; the API is.</p>"


class Pages:
    """Serves the viewer's files and the forms of login and logout."""

    def __init__(self, door: Door, files: Files, stage: str) -> None:
        self._door, self._files, self._stage = door, files, stage

    # -- the viewer

    async def index(self, request: Request) -> Response:
        """Serve the viewer to whoever is logged in; its query says what to look at."""
        if self._door.visitor(request.headers) is None:
            here = f"/?{request.url.query}" if request.url.query else "/"
            if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
                # A link in a mail brings no strict cookie along; coming from our own page it does.
                return HTMLResponse(_AGAIN.replace("{here}", html.escape(here)))
            return RedirectResponse(f"/login?next={quote(here, safe='')}", 303)
        page = self._files.response("index.html", request)
        return page if page is not None else self._page(_NO_VIEWER)

    async def file(self, request: Request) -> Response:
        """Serve a file of the viewer: code and style, the same for everybody."""
        name = request.path_params["name"]
        found = self._files.response(name, request)
        if found is not None:
            return found
        if name == "login.css":
            return Response(_STYLE, media_type="text/css; charset=utf-8")
        if name == "favicon.ico":
            return Response(status_code=204)
        return problem(404, f"there is no {name:.200} here")

    # -- in and out

    async def login_form(self, request: Request) -> Response:
        """Show how to come in."""
        following = _own_place(request.query_params.get("next", "/"))
        word = request.query_params.get("token", "")
        return self._form(following, word)

    def _form(self, following: str, word: str = "", error: str = "", status: int = 200) -> Response:
        form = _ACCOUNT if self._door.strict else _WORD if word else _NO_WORD
        body = form.replace("{next}", html.escape(following)).replace("{token}", html.escape(word))
        if error:
            body = f'<p class="error" role="alert">{html.escape(error)}</p>\n{body}'
        return self._page(body, status)

    def _page(self, body: str, status: int = 200) -> Response:
        title = html.escape(self._stage or "stagetwin")
        return HTMLResponse(_PAGE.replace("{title}", title).replace("{body}", body), status)

    async def login(self, request: Request) -> Response:
        """Take a name and password, or a word that is good once; answer in the asker's form."""
        fields = await _fields(request)
        plain = request.headers.get("content-type", "").startswith("application/json")
        following = _own_place(fields.get("next", "/"))
        try:
            if word := fields.get("token", ""):
                cookie = self._door.enter(word)
            else:
                address = _address_of(request)
                name, password = fields.get("name", ""), fields.get("password", "")
                cookie = await self._door.login(name, password, address)
        except AccessError as error:
            status = 429 if "try again" in str(error) else 401
            headers = {"Retry-After": "1"} if status == 429 else {}
            if plain:
                return problem(status, str(error), headers)
            return self._form(following, error=str(error), status=status)
        except ServiceError as error:
            return problem(503, str(error), {"Retry-After": "1"})
        who = self._door.sessions.find(cookie)
        assert who is not None  # it was opened just now
        response: Response = RedirectResponse(following, 303)
        if plain:
            response = Json({"user": who.name, "rights": self._door.access.rights(who)})
        response.set_cookie(
            self._door.cookie,
            cookie,
            path="/",
            secure=self._door.secure,
            httponly=True,
            samesite="strict",
        )
        return response

    async def logout(self, request: Request) -> Response:
        """End the session."""
        visitor = self._door.visitor(request.headers)
        if visitor is not None and visitor.cookie:
            self._door.sessions.close(visitor.cookie)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(
            self._door.cookie, path="/", secure=self._door.secure, httponly=True, samesite="strict"
        )
        # Models may be kept for ever, but not by a browser that others use too.
        response.headers["Clear-Site-Data"] = '"cache"'
        return response


async def _fields(request: Request) -> dict[str, str]:
    """Return the fields of a form or of a JSON object; whatever is no text is left out."""
    body = await request.body()
    try:
        if request.headers.get("content-type", "").startswith("application/json"):
            found = parse_object(body)
            return {key: value for key, value in found.items() if isinstance(value, str)}
        form = parse_qs(body.decode(), max_num_fields=10)
        return {key: values[-1] for key, values in form.items()}
    except ValueError:
        return {}


def _own_place(place: str) -> str:
    """Return where to go on; only a path of our own, for anybody can write a link."""
    try:
        parts = urlsplit(place)
    except ValueError:
        return "/"
    own = place.startswith("/") and not place.startswith(("//", "/\\")) and "\\" not in place
    plain = all(sign.isprintable() for sign in place)
    return place if own and plain and not parts.scheme and not parts.netloc else "/"


def _address_of(request: Request) -> str:
    """Return where a request comes from; behind a proxy on this host, what that one says."""
    peer = request.client.host if request.client is not None else ""
    if request.scope.get("state", {}).get("proxied") and is_loopback(peer):
        # The last entry is the proxy's own; those before it are whatever the client wrote.
        last = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
        with contextlib.suppress(ValueError):
            return str(ipaddress.ip_address(last))
    return peer
