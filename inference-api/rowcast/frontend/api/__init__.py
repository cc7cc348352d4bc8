"""One dialect of HTTP a module: body to `Prompt`, pieces to chunks. `DIALECTS` registers them."""

from collections.abc import Callable

from flask import Blueprint

from rowcast.frontend.api import native
from rowcast.frontend.frontend import Frontend

DIALECTS: tuple[Callable[[Frontend], Blueprint], ...] = (native.blueprint,)
