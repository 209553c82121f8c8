"""What a server's answer, or none, means for a download."""

import datetime
import email.utils
import http
import http.client
import re
import socket
import ssl
from collections.abc import Iterator

import requests

from ben_tf import errors

CURRENT_RECORD = "Look for the current record at https://bigearth.net."

# Request Timeout, Too Early, Too Many Requests; and all that begins with 5.
_PASSING = (408, 425, 429)
_PAGES = re.compile(r"text/html|application/(json|xml|xhtml\+xml)|text/xml")
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_BEYOND = re.compile(r"bytes \*/(\d{1,18})")
_PAGE = "the server sends a page in place of the file"


class Passing(Exception):
    """An answer that may be another one later.

    Attributes:
      retry_after_s: Seconds that the server asks to wait; 0 without a wish.
    """

    def __init__(self, problem: str, retry_after_s: float = 0):
        super().__init__(problem)
        self.retry_after_s = retry_after_s


def check(url: str, response: requests.Response, start: int) -> None:
    """Refuses an answer that does not bring the bytes that were asked for.

    Args:
      url: What was asked for.
      response: Its answer.
      start: The first byte that was asked for.

    Raises:
      Passing: The server is busy, or sends something else.
      errors.UserError: It does not have or not give the file.
    """
    status = response.status_code
    named = f"{status} {_phrase(status)}".strip()
    if status in _PASSING or status >= 500:
        raise Passing(f"the server says {named}", _retry_after_s(response))
    if status in (401, 403, 407, 451):
        raise errors.UserError(
            f"{url} cannot be downloaded: the server or a proxy forbids it, "
            f"{named}. Try from another network, or fetch the file with a "
            "browser, put it into `archive_dir` and run the command without "
            "`download`."
        )
    if 400 <= status < 500:
        raise errors.UserError(
            f"{url} cannot be downloaded: the server says {named}. "
            f"{CURRENT_RECORD}"
        )
    if status not in (200, 206):
        raise Passing(f"the server says {named}")
    if _PAGES.match(response.headers.get("Content-Type", "").lower()):
        raise Passing(_PAGE, _retry_after_s(response))
    sent = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    if status == 206 and sent and int(sent[1]) != start:
        raise Passing(
            "the server sends another part of the file than asked for"
        )


def check_begins_no_page(first: bytes) -> None:
    """Refuses a page that does not say to be one.

    Args:
      first: The first bytes of a file, which is none of text.

    Raises:
      Passing: They begin a page of HTML, XML or JSON.
    """
    text = first[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith((b"<", b"{")):
        raise Passing(_PAGE)


def total_bytes(response: requests.Response, start: int) -> int | None:
    """Size of the whole file by the headers; None where they do not say it."""
    content_range = response.headers.get("Content-Range", "")
    if response.status_code == 416:
        beyond = _BEYOND.match(content_range)
        return int(beyond[1]) if beyond else None
    offset = 0
    if response.status_code == 206:
        sent = _CONTENT_RANGE.match(content_range)
        if sent and sent[3] != "*":
            return int(sent[3])
        offset = start
    length = response.headers.get("Content-Length", "")
    return offset + int(length) if re.fullmatch(r"\d{1,18}", length) else None


def strong_etag(response: requests.Response) -> str | None:
    """The ETag, if it stands for the bytes and not for what they mean."""
    etag = response.headers.get("ETag", "")
    return etag if re.fullmatch(r'"[!-~]*"', etag) else None


def problem(url: str, error: Exception) -> str:
    """Says what kept a request from an answer, without a full stop.

    Raises:
      errors.UserError: Another attempt cannot help: the certificate is wrong.
    """
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise errors.UserError(
                f"{url} cannot be downloaded: the server's certificate cannot "
                f"be verified ({cause.verify_message}). Check the clock of "
                "this machine; behind a proxy that replaces certificates, name "
                "its own in the environment variable REQUESTS_CA_BUNDLE."
            ) from error
        if isinstance(cause, socket.gaierror):
            return (
                "the server's name cannot be resolved; check the network, and "
                "HTTPS_PROXY where there is a proxy"
            )
        if isinstance(cause, http.client.HTTPException):
            return "the connection was cut"
        if isinstance(cause, TimeoutError):
            return "the server does not answer in time"
        if isinstance(cause, ConnectionError | ssl.SSLError):
            return f"the connection fails: {errors.first_line(cause)}"
    return errors.first_line(causes[-1])


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it came from, up to the system's own."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _retry_after_s(response: requests.Response) -> float:
    """Seconds that the header Retry-After asks for: a number or a date."""
    wish = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}", wish):
        return float(wish)
    # By the server's clock, where it says what that is.
    date = response.headers.get("Date")
    try:
        until = email.utils.parsedate_to_datetime(wish)
        now = (
            email.utils.parsedate_to_datetime(date)
            if date
            else datetime.datetime.now(datetime.UTC)
        )
        return max(0.0, (until - now).total_seconds())
    # No date; a year beyond all years; only one with a time zone.
    except (ValueError, OverflowError, TypeError):
        return 0.0


def _phrase(status: int) -> str:
    """The standard's words; a server may send any."""
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""
