"""What errors of other libraries mean for a user: a sentence each.

Whoever reads a file of a known kind says better what to do, and raises
`errors.UserError`. This is the net below: what a disk, a network, a decoder or
TensorFlow raises anywhere. Classes are known by their names, so that nothing
has to be imported; standard library only.
"""

import errno
import os
import re

from ben_tf import errors

_WAYS_OUT = {
    errno.ENOENT: "Check the path.",
    errno.EISDIR: "Expected a file; this is a folder.",
    errno.ENOTDIR: "Expected a folder; a part of this path is a file.",
    errno.EEXIST: "It is kept as it is; choose another place.",
    errno.ENOTEMPTY: "It is kept as it is; choose another place.",
    errno.ELOOP: "Its links lead in a circle; correct them.",
    errno.ENAMETOOLONG: "Choose a shorter path.",
    errno.EFBIG: "This disk takes no file of such a size; choose another one.",
    errno.EPIPE: "Whoever read the output has stopped; run it again.",
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM),
        "Give yourself the permission, or choose a place that you may read and "
        "write.",
    ),
    errno.EROFS: "Its disk is mounted read-only; choose another place.",
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT),
        "Make room, or choose a place on another disk.",
    ),
    **dict.fromkeys(
        (errno.EMFILE, errno.ENFILE),
        "Raise the limit, such as with ulimit -n 4096, or lower `num_workers`.",
    ),
    **dict.fromkeys(
        (errno.EIO, errno.ESTALE, errno.EREMOTEIO, errno.ENODEV),
        "The disk or the network folder fails; check it and run the same "
        "command again.",
    ),
    errno.EADDRINUSE: "Another program listens there; choose another port.",
    **dict.fromkeys(
        (
            errno.ECONNREFUSED,
            errno.ECONNRESET,
            errno.ECONNABORTED,
            errno.EHOSTUNREACH,
            errno.ENETUNREACH,
            errno.ETIMEDOUT,
        ),
        "Check the network and run the same command again.",
    ),
}
_MEMORY = (
    "The memory does not suffice: {reason}. Lower `batch_size` or "
    "`num_workers`, or take a machine with more memory; a damaged file may ask "
    "for any amount, too."
)
# XLA and CUDA report it as errors of several classes.
_MEMORY_OF_XLA = re.compile(r"out.of.memory|RESOURCE_EXHAUSTED", re.IGNORECASE)
_DISK_IS_FULL = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))
_NETWORK = (
    "The network or the server fails: {reason}. Check the address, and run the "
    "same command again."
)
_ARCHIVE = (
    "A compressed file is damaged or truncated: {reason}. python -m "
    "tfrecords_builder.verify finds it among those of an archive."
)
_TENSORFLOW = "tensorflow.python.framework.errors_impl."

# Class -> what is said of its errors; a base class stands for those below it.
_SENTENCES: dict[str, str] = {
    "builtins.MemoryError": _MEMORY,
    "builtins.RecursionError": (
        "A file is nested too deeply: {reason}. No file of ours is; look for "
        "one that is damaged."
    ),
    "builtins.UnicodeError": (
        "A text is not UTF-8: {reason}. Expected names, flags and files of "
        "text in UTF-8."
    ),
    "builtins.EOFError": "A file ends too early: {reason}. It is truncated.",
    "builtins.ModuleNotFoundError": (
        "{reason}. Install this project with its dependencies: pip install ."
    ),
    "json.decoder.JSONDecodeError": "A JSON file is damaged: {reason}.",
    "msgspec.MsgspecError": "A JSON file is damaged: {reason}.",
    "_csv.Error": "A table is damaged: {reason}. Expected a file of CSV.",
    "_pickle.PickleError": "A file is damaged: {reason}.",
    "struct.error": "A file of numbers is damaged or truncated: {reason}.",
    **dict.fromkeys(
        (
            "gzip.BadGzipFile",
            "zlib.error",
            "_lzma.LZMAError",
            "igzip_lib.IsalError",
            "tarfile.TarError",
        ),
        _ARCHIVE,
    ),
    "zipfile.BadZipFile": "A file is damaged or truncated: {reason}.",
    "google.protobuf.message.Error": "A file of ours is damaged: {reason}.",
    "google.protobuf.json_format.Error": "A file of ours is damaged: {reason}.",
    "pyarrow.lib.ArrowException": "A table cannot be read: {reason}.",
    **dict.fromkeys(
        ("rasterio.errors.RasterioError", "rasterio._err.CPLE_BaseError"),
        "A raster file cannot be read: {reason}. Expected a whole GeoTIFF or "
        "JPEG 2000 file.",
    ),
    **dict.fromkeys(
        (
            "urllib.error.URLError",
            "http.client.HTTPException",
            "requests.exceptions.RequestException",
        ),
        _NETWORK,
    ),
    "concurrent.futures.process.BrokenProcessPool": (
        "A worker process was killed, as systems do when memory runs out. "
        "Lower `num_workers`, and run the same command again."
    ),
    _TENSORFLOW + "DataLossError": (
        "A file is damaged or truncated: {reason}. python -m "
        "tfrecords_builder.verify --data_dir=... finds it among the records."
    ),
    _TENSORFLOW + "NotFoundError": "A file is missing: {reason}.",
    _TENSORFLOW + "PermissionDeniedError": (
        f"A file may not be used: {{reason}}. {_WAYS_OUT[errno.EACCES]}"
    ),
    _TENSORFLOW + "ResourceExhaustedError": _MEMORY,
    _TENSORFLOW + "OpError": "TensorFlow cannot go on: {reason}.",
}


def sentence(error: BaseException) -> str | None:
    """Says what an error means for a user and what to do.

    Returns:
      One or two sentences with arguments in backticks; None for an error that
      tells of a defect of this program, such as a TypeError.
    """
    for base in type(error).__mro__:
        name = f"{base.__module__}.{base.__qualname__}"
        if isinstance(error, OSError) and base is OSError:
            return _os_error(error)
        if name in _SENTENCES:
            return _of_class(name, error)
    # The C++ of FAISS has no class of its own.
    if type(error) is RuntimeError and "faiss" in str(error):
        return f"FAISS cannot read its index: {_reason(error)}."
    return None


def _of_class(name: str, error: BaseException) -> str | None:
    reason = _reason(error)
    if isinstance(error, ModuleNotFoundError) and str(error.name).startswith(
        ("ben_tf", "tfrecords_builder")
    ):
        return None
    if name.startswith(_TENSORFLOW) and any(x in reason for x in _DISK_IS_FULL):
        return f"{reason}. {_WAYS_OUT[errno.ENOSPC]}"
    if name.startswith(_TENSORFLOW) and _MEMORY_OF_XLA.search(reason):
        return _MEMORY.format(reason=reason)
    return _SENTENCES[name].format(reason=reason)


def _os_error(error: OSError) -> str:
    """Names the file, what the system says of it, and the way out."""
    if error.errno == errno.ENOMEM:
        return _MEMORY.format(reason=error.strerror)
    reason = error.strerror or errors.first_line(error)
    # Of two names the second is the one to be written.
    name = error.filename if error.filename2 is None else error.filename2
    if isinstance(name, str | bytes | os.PathLike):
        reason = f"{os.fsdecode(name)}: {reason}"
    way_out = _WAYS_OUT.get(error.errno or 0)
    return f"{reason}. {way_out}" if way_out else f"{reason}."


_IN_GRAPH = re.compile(r"\{\{.*?\}\}|\[Op:\w+\](?: name: .*)?")


def _reason(error: BaseException) -> str:
    """The line of a message that says why; TensorFlow says where around it."""
    if f"{type(error).__module__}." != _TENSORFLOW:
        return errors.first_line(error)
    before_the_node = str(error).split("\n\t [[")[0]
    lines = [
        line
        for line in map(
            str.strip, _IN_GRAPH.sub("", before_the_node).split("\n")
        )
        if line
    ]
    if not lines:
        return type(error).__name__
    if lines[0].startswith("Graph execution error"):
        found = lines[-1]
    elif lines[0].startswith("in user code"):
        found = next((line for line in lines if "Error: " in line), lines[0])
    else:
        found = lines[0]
    return found[:200].rstrip(". ")
