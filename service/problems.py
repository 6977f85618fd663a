"""Errors as clients see them (RFC 9457): which exception is which problem."""

import logging

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response

from hrformer.images import errors as images
from service import admission, batcher, deadline, device_errors, lifecycle
from service.problem_kinds import KINDS

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5  # when the time cannot be computed: starting, draining, failed

logger = logging.getLogger(__name__)


class Problem(Exception):
    """A row of the table with what happened this time."""

    def __init__(
        self,
        slug: str,
        detail: str,
        *,
        field: str | None = None,
        index: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.slug, self.kind, self.index, self.headers = slug, KINDS[slug], index, headers or {}
        # What the client sent may be quoted here, and not all that Python calls text can be sent back.
        self.detail = detail.encode("utf-8", "replace").decode()
        self.field = field and field.encode("utf-8", "replace").decode()


# The messages of these are written for clients.
SLUGS: dict[type[Exception], str] = {
    images.NotAnImage: "not-an-image",
    images.UnsupportedFormat: "unsupported-format",
    images.BrokenImage: "broken-image",
    images.ImageTooLarge: "image-too-large",
    images.ImageTooSmall: "image-too-small",
    admission.Overloaded: "overloaded",
    admission.DeadlineTooNear: "deadline-too-near",
    deadline.DeadlineExceeded: "deadline-exceeded",
    lifecycle.NotReady: "not-ready",
    lifecycle.Draining: "draining",
    lifecycle.DeviceFailed: "device-failed",
    device_errors.OutOfMemory: "device-failed",
}

# These carry no message.
DETAILS: dict[type[Exception], tuple[str, str]] = {
    batcher.QueueFull: ("overloaded", "the queue of the model is full; try later"),
    batcher.Closed: ("draining", "the service is about to stop; try later"),
    batcher.Expired: (
        "deadline-exceeded",
        "the time given was over before the model was free; allow more by X-Timeout-Ms",
    ),
}

STATUSES: dict[int, tuple[str, str]] = {
    404: ("not-found", "no route has this path; the routes are listed in /docs"),
    405: ("wrong-method", "the route has another method; see the header Allow"),
}


def problem_of(error: Exception) -> Problem:
    """The problem that an exception is; a defect of ours when it is in no table."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException) and error.status_code in STATUSES:
        return Problem(*STATUSES[error.status_code], headers=_with_head(dict(error.headers or {})))
    for kind in type(error).__mro__:
        if kind in SLUGS:
            return Problem(SLUGS[kind], str(error), headers=_retry_after(error, SLUGS[kind]))
        if kind in DETAILS:
            slug, detail = DETAILS[kind]
            return Problem(slug, detail, headers=_retry_after(error, slug))
    return Problem("internal", "a defect of the service; it is logged with the request id, please report it")


def problem_response(error: Exception, request_id: str, route: str = "") -> Response:
    """The answer to a request that failed. A defect is logged with its trace, which stays here.

    Clients of the Open Inference Protocol look for `error`.
    """
    problem = problem_of(error)
    if problem.slug == "internal":
        logger.error("defect", exc_info=error, extra={"request_id": request_id})
    body = {
        "type": f"/problems/{problem.slug}",
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": problem.detail,
        "request_id": request_id,
    }
    if route.startswith("/v2"):
        body["error"] = problem.detail
    if problem.field is not None:
        body["field"] = problem.field
    if problem.index is not None:
        body["index"] = problem.index
    return Response(orjson.dumps(body), problem.kind.status, problem.headers, MEDIA_TYPE)


def _retry_after(error: Exception, slug: str) -> dict[str, str]:
    if isinstance(error, admission.Refused):
        return {"Retry-After": str(error.retry_after_s)}
    return {"Retry-After": str(RETRY_AFTER_S)} if KINDS[slug].status in (429, 503) else {}


def _with_head(headers: dict[str, str]) -> dict[str, str]:
    """Whatever allows GET allows HEAD."""
    methods = [method.strip() for method in headers.get("Allow", "").split(",")]
    return headers | {"Allow": ", ".join([*methods, "HEAD"])} if "GET" in methods else headers
