"""The process that decodes images: untrusted input, so apart from the server, with little to gain.

Run by its path, it needs only Pillow. It reads jobs from standard input and answers each on standard
output, one JSON object a line:

    {"op": "inspect", "source": path, "max_pixels": n, "max_bytes": n}
        -> {"content_type", "width", "height", "animated"}
    {"op": "thumbnail", "source": path, "target": path, "max_pixels": n, "max_bytes": n,
     "width": w, "height": h, "crop": bool, "animated": bool}
        -> {"content_type", "width", "height", "animated"}, and the file ``target``;
           {"original": true, …} where the source is already no larger than what was asked for
    what takes more than ``max_bytes`` of memory -> {"error": "large"}; nothing has been decoded
    anything else that fails -> {"error": "unsupported" | "too_large"}

It ends after ``IDLE_SECONDS`` without a job. Its address space and its files are limited by the
system; its time is limited by whoever started it.
"""

import errno
import json
import math
import os
import resource
import select
import sys
import warnings
from collections.abc import Callable
from typing import Any

from PIL import Image, ImageSequence

IDLE_SECONDS = 30
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "AVIF", "BMP", "TIFF")
SHOWN = frozenset({"PNG", "JPEG", "MPO", "GIF", "WEBP", "AVIF"})
"""Formats that every browser shows, so that an image can be its own thumbnail."""
DRAWN = frozenset({"PNG", "GIF"})
"""What is rather drawn than photographed, and stays sharp."""
MOVING = frozenset({"PNG", "GIF", "WEBP", "AVIF"})
"""Formats whose frames are an animation: those of others are pages, or a photograph's depth map."""
SCALED = frozenset({"JPEG", "MPO"})
"""Formats that need not be decoded whole."""
READ_WHOLE = frozenset({"WEBP", "AVIF"})
"""Formats whose files are in memory, and a copy of them, as soon as they are opened."""
MAX_FILE = 64 * 1024 * 1024
"""Bytes of a thumbnail."""
BASE_MEMORY = 512 * 1024 * 1024
MAX_FRAMES = 200
BYTES = {"PNG": 4, "BMP": 4, "GIF": 4, "TIFF": 7, "AVIF": 10, "WEBP": 16}
"""Bytes that decoding takes for each pixel, of formats that have to be decoded whole."""
MOVING_BYTES = {"PNG": 16, "GIF": 12, "AVIF": 16, "WEBP": 20}
"""The same where other frames follow."""
MAX_BYTES = 4
"""Bytes that a job may take, for each pixel that an image may have."""
BAND = 8 * 1024 * 1024
"""Bytes of an image that are converted at a time."""
REACH = 4
"""Pixels on each side that the filters look at, times how much smaller the image is made."""
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes an image upright, by its orientation."""
DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO})
"""Why a thumbnail cannot be written."""
ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
MAX_PROFILE = 64 * 1024
Size = tuple[int, int]
Box = tuple[int, int, int, int]


class TooLarge(Exception):
    """The image has more pixels than are allowed, or takes more memory."""


class Large(Exception):
    """The image takes more memory than it may at the moment."""


def work() -> None:
    """Answer jobs until there are no more."""
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None
    with open(0, "rb", buffering=0, closefd=False) as jobs:
        while select.select([jobs], [], [], IDLE_SECONDS)[0]:
            line = jobs.readline()
            if not line:
                return
            sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
            sys.stdout.flush()


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """What came of ``job``."""
    try:
        if 2 * os.path.getsize(job["source"]) > job["max_bytes"]:
            raise Large
        with Image.open(job["source"], formats=FORMATS) as image:
            _check_size(image, job)
            return _thumbnail(image, job) if job["op"] == "thumbnail" else _facts(image)
    except (TooLarge, MemoryError):
        return {"error": "too_large"}
    except Large:
        return {"error": "large"}
    except OSError as error:
        # The decoders raise it too, of malformed files, without a number.
        return {"error": "storage", "errno": error.errno} if error.errno in DISK else {"error": "unsupported"}
    except Exception:  # noqa: BLE001 - Pillow's decoders raise whatever a malformed file provokes
        return {"error": "unsupported"}


def _check_size(image: Image.Image, job: dict[str, Any]) -> None:
    most = job["max_pixels"] if image.format in SCALED else job["max_pixels"] // 2
    if image.width * image.height > most:
        raise TooLarge
    needed = bytes_needed(image, job)
    if needed > MAX_BYTES * job["max_pixels"]:
        raise TooLarge
    if needed > job["max_bytes"]:
        raise Large


def bytes_needed(image: Image.Image, job: dict[str, Any]) -> int:
    """The memory that ``job`` takes, about: the header has been read, and nothing decoded."""
    kind, pixels = image.format or "", image.width * image.height
    if job["op"] == "inspect":
        # How a PNG is turned may be told behind its pixels.
        return pixels * BYTES[kind] if kind == "PNG" else 0
    turned = kind in SCALED and _turned(image)
    box, size = _plan(image.size, _wanted(job, turned=turned), job["crop"])
    if kind in SCALED:
        decoding = _kept(image, job["source"]) + 4 * pixels // _fraction(box, size) ** 2
    elif job["animated"] and _moving(image, job):
        decoding = _moving_bytes(image, job)
    else:
        decoding = pixels * BYTES[kind]
    file = 2 * os.path.getsize(job["source"]) if kind in READ_WHOLE else 0
    return int(file + decoding + 4 * size[0] * size[1])


def _kept(image: Image.Image, source: str) -> int:
    """What the decoder of a JPEG keeps of one scan until the next."""
    samples: list[int] = [across * down for _, across, down, _ in getattr(image, "layer", ())]
    if "progressive" not in image.info and _has_one_scan(source, len(samples)):
        return 0
    return 2 * image.width * image.height * sum(samples) // max(samples, default=1)


def _has_one_scan(source: str, layers: int) -> bool:
    """Whether the first scan of a JPEG has all of its layers."""
    with open(source, "rb") as file:
        file.seek(2)
        while len(head := file.read(4)) == 4 and head[0] == 0xFF:
            if head[1] == 0xDA:
                return file.read(1) == bytes([layers])
            file.seek(int.from_bytes(head[2:]) - 2, os.SEEK_CUR)
    return False


def _facts(image: Image.Image) -> dict[str, Any]:
    width, height = image.size[::-1] if _turned(image) else image.size
    content_type = "image/jpeg" if image.format == "MPO" else Image.MIME[image.format or ""]
    return {"content_type": content_type, "width": width, "height": height, "animated": _animated(image)}


def _animated(image: Image.Image) -> bool:
    return image.format in MOVING and bool(getattr(image, "is_animated", False))


def _orientation(image: Image.Image) -> int:
    return int(image.getexif().get(0x0112, 1))


def _turned(image: Image.Image) -> bool:
    """Whether width and height change places when it is made upright."""
    return _orientation(image) in (5, 6, 7, 8)


def _wanted(job: dict[str, Any], *, turned: bool) -> Size:
    return (job["height"], job["width"]) if turned else (job["width"], job["height"])


def _thumbnail(image: Image.Image, job: dict[str, Any]) -> dict[str, Any]:
    box, size = _plan(image.size, _wanted(job, turned=_turned(image)), job["crop"])
    moving = job["animated"] and _moving(image, job)
    if size == image.size and moving == _animated(image) and image.format in SHOWN:
        return {"original": True, **_facts(image)}
    save = _save_animated if moving else _save_static
    upright = size[::-1] if _turned(image) else size
    content_type = save(image, job["target"], box, size)
    return {"content_type": content_type, "width": upright[0], "height": upright[1], "animated": moving}


def _plan(whole: Size, wanted: Size, crop: bool) -> tuple[Box, Size]:
    """The part of an image that is shown, and what size that gets; before it is turned."""
    box = crop_box(*whole, *wanted) if crop else (0, 0, *whole)
    size = target_size(box[2] - box[0], box[3] - box[1], *wanted)
    if crop and size[0] >= wanted[0] and size[1] >= wanted[1]:
        return box, wanted  # The box has the wanted shape but for what rounding did to it.
    return box, size


def target_size(width: int, height: int, wanted_width: int, wanted_height: int) -> Size:
    """The smallest size of the same shape that covers what is wanted, never larger than it is."""
    if wanted_width >= width or wanted_height >= height:
        return width, height
    factor = max(wanted_width / width, wanted_height / height)
    return max(wanted_width, round(width * factor)), max(wanted_height, round(height * factor))


def crop_box(width: int, height: int, wanted_width: int, wanted_height: int) -> Box:
    """The largest part of the wanted shape, from the middle."""
    if width * wanted_height > height * wanted_width:
        cut_width, cut_height = max(1, height * wanted_width // wanted_height), height
    else:
        cut_width, cut_height = width, max(1, width * wanted_height // wanted_width)
    left, top = (width - cut_width) // 2, (height - cut_height) // 2
    return left, top, left + cut_width, top + cut_height


def _moving(image: Image.Image, job: dict[str, Any]) -> bool:
    """Whether it is animated, and not too long to be made smaller frame by frame."""
    if not _animated(image):
        return False
    frames = int(getattr(image, "n_frames", 1))
    return (
        frames <= MAX_FRAMES
        and frames * image.width * image.height <= 8 * job["max_pixels"]
        and _moving_bytes(image, job) <= MAX_BYTES * job["max_pixels"]
    )


def _moving_bytes(image: Image.Image, job: dict[str, Any]) -> int:
    """What its frames take, and those of its thumbnail."""
    (width, height), frames = image.size, int(getattr(image, "n_frames", 1))
    _, size = _plan(image.size, _wanted(job, turned=False), job["crop"])
    return width * height * MOVING_BYTES[image.format or ""] + 4 * size[0] * size[1] * frames


def _save_static(image: Image.Image, target: str, box: Box, size: Size) -> str:
    profile = image.info.get("icc_profile")
    mode, orientation = image.mode, _orientation(image)
    if image.format in SCALED and (fraction := _fraction(box, size)) > 1:
        # Decoding at a fraction of the size saves most of the time; the box shrinks with it.
        before = image.size
        image.draft(None, (-(-image.width // fraction), -(-image.height // fraction)))
        box = _scaled(box, image.width / before[0], image.height / before[1], image.size)
    alpha = image.mode in ALPHA_MODES or "transparency" in image.info
    small = resized(image, box, size, "RGBA" if alpha else "RGB", Image.Resampling.LANCZOS)
    if orientation in UPRIGHT:
        small = small.transpose(UPRIGHT[orientation])
    options: dict[str, Any] = {}
    if isinstance(profile, bytes) and len(profile) <= MAX_PROFILE and mode in ("RGB", "RGBA"):
        options["icc_profile"] = profile
    if alpha or image.format in DRAWN:
        small.save(target, "PNG", **options)
        return "image/png"
    small.save(target, "JPEG", quality=82, progressive=True, **options)
    return "image/jpeg"


def _fraction(box: Box, size: Size) -> int:
    """By how much smaller a JPEG may be decoded."""
    factor = min((box[2] - box[0]) // size[0], (box[3] - box[1]) // size[1])
    return max((fraction for fraction in (2, 4, 8) if fraction <= factor), default=1)


def _scaled(box: Box, x: float, y: float, bounds: Size) -> Box:
    left, top = int(box[0] * x), int(box[1] * y)
    right, bottom = min(bounds[0], round(box[2] * x)), min(bounds[1], round(box[3] * y))
    return left, top, max(left + 1, right), max(top + 1, bottom)


def resized(image: Image.Image, box: Box, size: Size, mode: str, resampling: Image.Resampling) -> Image.Image:
    """The box in another size and mode, made in bands: most conversions are copies."""
    in_8_bits = _in_8_bits(image)
    made = Image.new(mode, size)
    step = (box[3] - box[1]) / size[1]
    height = max(1, int(BAND / (4 * image.width * step)))
    for top in range(0, size[1], height):
        bottom = min(size[1], top + height)
        first, last = box[1] + top * step, min(box[1] + bottom * step, image.height)
        # What the filters look at above and below.
        above = max(0, math.floor(first - REACH * step))
        below = min(image.height, math.ceil(last + REACH * step))
        band = in_8_bits(image.crop((0, above, image.width, below)))
        if band.mode != mode or "transparency" in band.info:
            band = band.convert(mode)
        part = (box[0], first - above, box[2], min(last - above, band.height))
        made.paste(band.resize((size[0], bottom - top), resampling, part, reducing_gap=2.0), (0, top))
    return made


def _in_8_bits(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """What makes bands of a grey image of 16 or 32 bits fit in 8. (Pillow would cut off what is over 255.)"""
    if image.mode[0] not in "IF":
        return lambda band: band
    low, high = 0.0, 65535.0
    if not image.mode.startswith("I;16") and image.format != "PNG":
        low, high = (float(end) for end in image.getextrema())  # type: ignore[arg-type]
    scale = 255 / (high - low) if high > low else 1.0
    return lambda band: band.convert("F").point(lambda value: value * scale - low * scale).convert("L")


def _save_animated(image: Image.Image, target: str, box: Box, size: Size) -> str:
    frames: list[Image.Image] = []
    durations: list[int] = []
    for frame in ImageSequence.Iterator(image):
        frames.append(resized(frame, box, size, "RGBA", Image.Resampling.BILINEAR))
        # A WebP's frame tells its duration only once it has been decoded.
        durations.append(max(10, min(60_000, int(frame.info.get("duration", 100) or 100))))
    loop = int(image.info.get("loop", 1))
    frames[0].save(
        target, "WEBP", save_all=True, append_images=frames[1:], duration=durations, loop=loop, quality=75
    )
    return "image/webp"


def confine(max_pixels: int) -> None:
    """Give up what decoding does not need."""
    memory = BASE_MEMORY + 24 * max_pixels
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE, MAX_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(5)


if __name__ == "__main__":
    confine(int(sys.argv[1]))
    work()
