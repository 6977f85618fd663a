"""The table of problems that a client can meet; each is a documented page at `/problems/<slug>`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """What a problem is, when it is met, and what to do about it."""

    status: int
    title: str
    when: str
    remedy: str


KINDS: dict[str, Kind] = {
    "not-http": Kind(
        400,
        "The request is not HTTP",
        "What came over the connection cannot be read as HTTP/1.1. The connection is closed.",
        "Let an HTTP library send it. Where the service speaks TLS, the address begins with `https://`.",
    ),
    "empty-body": Kind(
        400,
        "The request has no picture",
        "The body, the file in the form or the `image` field of the JSON has no bytes.",
        "Send the bytes of the picture. With curl: `--data-binary @photo.jpg`; `-d @photo.jpg` strips bytes.",
    ),
    "bad-multipart": Kind(
        400,
        "The form cannot be read",
        "The body is not the form that `Content-Type` says, has no file in `image`, or has too many parts.",
        "Let an HTTP library make the form, the picture in `image`. With curl: `-F image=@photo.jpg`.",
    ),
    "bad-json": Kind(
        400,
        "The JSON cannot be read",
        "The body is said to be JSON and is not an object, has no `image`, or has thousands of values.",
        'Send an object like `{"image": "<base64>"}` in UTF-8.',
    ),
    "bad-base64": Kind(
        400,
        "The picture in the JSON is not base64",
        "`image` has characters that base64 has not, or an incomplete last group. URLs are never fetched.",
        "Send standard base64 with padding, with or without a prefix like `data:image/jpeg;base64,`.",
    ),
    "unknown-option": Kind(
        400,
        "There is no such option",
        "A name in the query string or beside the picture is not an option of this route.",
        "Correct the name; the detail tells the nearest one. The options of each route are in `/docs`.",
    ),
    "conflicting-option": Kind(
        400,
        "An option is given twice with different values",
        "The query string and the body, or two places in one of them, do not agree on an option.",
        "Give each option once.",
    ),
    "no-key": Kind(
        401,
        "An API key is needed",
        "The service is set up with API keys, and the request carries none.",
        "Send `Authorization: Bearer <key>` or `X-API-Key: <key>`.",
    ),
    "wrong-key": Kind(
        403,
        "The API key is not known",
        "The key sent is none of those set up.",
        "Ask whoever runs the service for a key.",
    ),
    "not-found": Kind(
        404, "There is no such page", "No route has this path.", "The routes are listed in `/docs`."
    ),
    "unknown-model": Kind(
        404,
        "There is no such model",
        "No model of this name is served, or it does another task than the route.",
        "Choose one of `/models`, or leave `model` out.",
    ),
    "wrong-method": Kind(
        405,
        "The route has another method",
        "A route was called with a method it does not have.",
        "See the header `Allow`.",
    ),
    "not-acceptable": Kind(
        406,
        "No answer in a form that the client accepts",
        "No `format` of the route has a media type that `Accept` allows.",
        "Widen `Accept`, or name a `format`, which goes before `Accept`.",
    ),
    "slow-body": Kind(
        408,
        "The body did not arrive in time",
        "The bytes of the request came too slowly, or stopped coming.",
        "Send the request again over a better connection, or a smaller picture.",
    ),
    "slow-head": Kind(
        408,
        "The headers did not arrive in time",
        "The request line and the headers came too slowly, or stopped coming. The connection is closed.",
        "Send the request again over a better connection, the headers at once.",
    ),
    "not-reloaded": Kind(
        409,
        "The models were not swapped",
        "The new models cannot be loaded, or do not answer the canary picture as they should. Those that "
        "served go on.",
        "The log says why. Mend the manifest or the weights, and ask again.",
    ),
    "body-too-large": Kind(
        413,
        "The body is too large",
        "The picture has more bytes than the service reads.",
        "Compress the picture or scale it down: the models look at a few hundred pixels a side.",
    ),
    "image-too-large": Kind(
        413,
        "The picture has too many pixels",
        "Width times height, as the file's header says, is over the limit. Nothing was decoded.",
        "Scale the picture down.",
    ),
    "not-an-image": Kind(
        415,
        "The bytes are no picture",
        "The bytes begin like no known picture format. Neither the file's name nor a header decides.",
        "Send the file's own bytes. With curl: `--data-binary @photo.jpg`.",
    ),
    "unsupported-format": Kind(
        415,
        "The picture's format is not read",
        "The bytes are of a known format that is not among those that the service reads.",
        "Convert the picture to JPEG, PNG, WebP, BMP, GIF or TIFF.",
    ),
    "broken-image": Kind(
        422,
        "The picture is truncated or corrupt",
        "The header is that of a picture, but the pixel data is cut off or damaged.",
        "Make the file anew. The service answers no guess about half a picture.",
    ),
    "image-too-small": Kind(
        422,
        "The picture is too small",
        "A side has fewer than 16 pixels.",
        "Send the picture in its original size.",
    ),
    "bad-option": Kind(
        422,
        "An option has a value that it cannot have",
        "The value is out of range or of another type. `field` names the option or header.",
        "The detail tells the range.",
    ),
    "bad-box": Kind(
        422,
        "A box cannot be used",
        "A box has not four finite numbers, no area, or no pixel of the picture. `index` tells which.",
        "Give `[x, y, width, height]` in pixels of the upright picture (EXIF orientation applied).",
    ),
    "overloaded": Kind(
        429,
        "Too much is waiting",
        "As many requests, items or bytes are waiting as the service keeps.",
        "Send the request again after `Retry-After` seconds.",
    ),
    "deadline-too-near": Kind(
        429,
        "The answer would come too late",
        "By what is waiting, the answer would take longer than `X-Timeout-Ms` allows. No work was begun.",
        "Send the request again after `Retry-After` seconds, or allow more time.",
    ),
    "rate-limited": Kind(
        429,
        "Too many requests for this key",
        "The API key has used up its rate.",
        "Send the request again after `Retry-After` seconds.",
    ),
    "head-too-large": Kind(
        431,
        "The headers are too large",
        "The request line and the headers have more than 64 KiB. The connection is closed.",
        "Send fewer or shorter headers, and long options in the body: a form or JSON.",
    ),
    "internal": Kind(
        500,
        "A defect of the service",
        "Something happened that should not. It is logged with the request id.",
        "Report it with the request id.",
    ),
    "not-ready": Kind(
        503,
        "The service is starting",
        "The models are not loaded yet.",
        "Try again after `Retry-After` seconds.",
    ),
    "draining": Kind(
        503,
        "The service is stopping",
        "The service answers what it has taken and takes nothing more.",
        "Send the request to another instance, or again after `Retry-After` seconds.",
    ),
    "device-failed": Kind(
        503,
        "The service cannot compute",
        "The device failed or has no memory left, a call hangs, or the models could not be loaded.",
        "Send the request to another instance, or again after `Retry-After` seconds.",
    ),
    "deadline-exceeded": Kind(
        504,
        "The answer was not ready in time",
        "The time given by `X-Timeout-Ms` was over before the request was answered; its work was dropped.",
        "Allow more time, or try when less is waiting.",
    ),
}
