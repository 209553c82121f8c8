"""What clients are told that get no answer: one sentence, and no places."""

import fastapi
from fastapi import exceptions
from fastapi import responses

from ben_tf import errors
from ben_tf.retrieval.server import batcher
from ben_tf.retrieval.server import drawings
from ben_tf.retrieval.server import uploads

_MOST_FAULTS = 5
_RETRY_AFTER_S = 1


def add_to(app: fastapi.FastAPI) -> None:
    """Answers every error with a sentence, without places of this machine."""

    def add(kind: type[Exception], status: int, sentence: str | None) -> None:
        async def answer(
            request: fastapi.Request, error: Exception
        ) -> responses.Response:
            headers = (
                {"retry-after": str(_RETRY_AFTER_S)} if status == 503 else {}
            )
            return responses.JSONResponse(
                {"error": sentence or str(error)}, status, headers=headers
            )

        app.add_exception_handler(kind, answer)

    add(drawings.UnknownPatchError, 404, None)
    add(uploads.GoneError, 404, None)
    add(errors.ArchiveError, 422, "A file of the patch is damaged.")
    add(errors.UserError, 422, None)
    add(batcher.BusyError, 503, "Too many requests wait. Try again.")
    add(TimeoutError, 503, "The answer took too long. Try again.")

    @app.exception_handler(exceptions.RequestValidationError)
    async def explain(
        request: fastapi.Request, error: exceptions.RequestValidationError
    ) -> responses.Response:
        # Without what was sent, which may be long, or not for others' eyes.
        reasons = [
            f"{'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']}"
            for fault in error.errors()[:_MOST_FAULTS]
        ]
        return responses.JSONResponse({"error": "; ".join(reasons)}, 422)

    add(Exception, 500, "The server failed to answer this.")
