"""The process that decodes images: untrusted input, so apart from the server, with little to gain.

Run by its path, it needs only Pillow. It reads jobs from standard input and answers each on standard
output, one JSON object a line:

    {"op": "inspect", "source": path, "max_pixels": n}
        -> {"content_type", "width", "height", "animated"}
    {"op": "thumbnail", "source": path, "target": path, "max_pixels": n,
     "width": w, "height": h, "crop": bool, "animated": bool}
        -> {"content_type", "width", "height", "animated"}, and the file ``target``;
           {"original": true, …} where the source is already no larger than what was asked for
    anything that fails -> {"error": "unsupported" | "too_large"}

It ends after ``IDLE_SECONDS`` without a job. Its address space and its files are limited by the
system; its time is limited by whoever started it.
"""

import errno
import json
import os
import resource
import select
import sys
import warnings
from typing import Any

from PIL import Image, ImageOps, ImageSequence

IDLE_SECONDS = 30
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "AVIF", "BMP", "TIFF")
SHOWN = frozenset({"PNG", "JPEG", "MPO", "GIF", "WEBP", "AVIF"})
"""Formats that every browser shows, so that an image can be its own thumbnail."""
MOVING = frozenset({"PNG", "GIF", "WEBP", "AVIF"})
"""Formats whose frames are an animation: those of others are pages, or a photograph's depth map."""
SCALED = frozenset({"JPEG", "MPO"})
"""Formats that need not be decoded whole."""
MAX_FILE = 64 * 1024 * 1024
"""Bytes of a thumbnail."""
BASE_MEMORY = 512 * 1024 * 1024
MAX_FRAMES = 200
DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO})
"""Why a thumbnail cannot be written."""
ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
MAX_PROFILE = 64 * 1024


class TooLarge(Exception):
    """The image has more pixels than are allowed."""


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
        with Image.open(job["source"], formats=FORMATS) as image:
            # The header tells the size; nothing has been decoded yet.
            most = job["max_pixels"] if image.format in SCALED else job["max_pixels"] // 2
            if image.width * image.height > most:
                raise TooLarge
            return _thumbnail(image, job) if job["op"] == "thumbnail" else _facts(image)
    except (TooLarge, MemoryError):
        return {"error": "too_large"}
    except OSError as error:
        # The decoders raise it too, of malformed files, without a number.
        return {"error": "storage", "errno": error.errno} if error.errno in DISK else {"error": "unsupported"}
    except Exception:  # noqa: BLE001 - Pillow's decoders raise whatever a malformed file provokes
        return {"error": "unsupported"}


def _facts(image: Image.Image) -> dict[str, Any]:
    width, height = _upright_size(image)
    content_type = "image/jpeg" if image.format == "MPO" else Image.MIME[image.format or ""]
    return {"content_type": content_type, "width": width, "height": height, "animated": _animated(image)}


def _animated(image: Image.Image) -> bool:
    return image.format in MOVING and bool(getattr(image, "is_animated", False))


def _upright_size(image: Image.Image) -> tuple[int, int]:
    turned = image.getexif().get(0x0112) in (5, 6, 7, 8)
    return (image.height, image.width) if turned else (image.width, image.height)


def _thumbnail(image: Image.Image, job: dict[str, Any]) -> dict[str, Any]:
    width, height = _upright_size(image)
    box = crop_box(width, height, job["width"], job["height"]) if job["crop"] else (0, 0, width, height)
    size = target_size(box[2] - box[0], box[3] - box[1], job["width"], job["height"])
    if job["crop"] and size[0] >= job["width"] and size[1] >= job["height"]:
        # The box has the wanted shape but for what rounding did to it.
        size = job["width"], job["height"]
    moving = job["animated"] and _moving(image, job["max_pixels"])
    if size == (width, height) and moving == _animated(image) and image.format in SHOWN:
        return {"original": True, **_facts(image)}
    if moving:
        content_type = _save_animated(image, job["target"], box, size)
    else:
        content_type = _save_static(image, job["target"], box, size)
    return {"content_type": content_type, "width": size[0], "height": size[1], "animated": moving}


def target_size(width: int, height: int, wanted_width: int, wanted_height: int) -> tuple[int, int]:
    """The smallest size of the same shape that covers what is wanted, never larger than it is."""
    if wanted_width >= width or wanted_height >= height:
        return width, height
    factor = max(wanted_width / width, wanted_height / height)
    return max(wanted_width, round(width * factor)), max(wanted_height, round(height * factor))


def crop_box(width: int, height: int, wanted_width: int, wanted_height: int) -> tuple[int, int, int, int]:
    """The largest part of the wanted shape, from the middle."""
    if width * wanted_height > height * wanted_width:
        cut_width, cut_height = max(1, height * wanted_width // wanted_height), height
    else:
        cut_width, cut_height = width, max(1, width * wanted_height // wanted_width)
    left, top = (width - cut_width) // 2, (height - cut_height) // 2
    return left, top, left + cut_width, top + cut_height


def _moving(image: Image.Image, max_pixels: int) -> bool:
    """Whether it is animated, and not too long to be made smaller frame by frame."""
    if not _animated(image):
        return False
    frames = int(getattr(image, "n_frames", 1))
    return frames <= MAX_FRAMES and frames * image.width * image.height <= 8 * max_pixels


def _save_static(
    image: Image.Image, target: str, box: tuple[int, int, int, int], size: tuple[int, int]
) -> str:
    profile = image.info.get("icc_profile")
    mode = image.mode
    factor = max(1, min((box[2] - box[0]) // size[0], (box[3] - box[1]) // size[1]))
    if image.format in SCALED and factor > 1:
        # Decoding at a fraction of the size saves most of the time; the box shrinks with it.
        before = _upright_size(image)
        image.draft(None, (-(-image.width // factor), -(-image.height // factor)))
        after = _upright_size(image)
        box = _scaled(box, after[0] / before[0], after[1] / before[1], after)
    upright = _in_8_bits(image)
    ImageOps.exif_transpose(
        upright, in_place=True
    )  # Otherwise it would be a copy, whether it is turned or not.
    alpha = upright.mode in ALPHA_MODES or "transparency" in upright.info
    colours = "RGBA" if alpha else "RGB"
    if upright.mode != colours or "transparency" in upright.info:
        upright = upright.convert(colours)
    small = upright.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=2.0)
    options: dict[str, Any] = {}
    if isinstance(profile, bytes) and len(profile) <= MAX_PROFILE and mode in ("RGB", "RGBA"):
        options["icc_profile"] = profile
    if alpha or image.format == "GIF":
        small.save(target, "PNG", **options)
        return "image/png"
    small.save(target, "JPEG", quality=82, progressive=True, **options)
    return "image/jpeg"


def _in_8_bits(image: Image.Image) -> Image.Image:
    """A grey image of 16 or 32 bits in 8; any other as it is. (Pillow would cut off what is over 255.)"""
    if image.mode[0] not in "IF":
        return image
    low, high = 0.0, 65535.0
    if not image.mode.startswith("I;16") and image.format != "PNG":
        low, high = (float(end) for end in image.getextrema())  # type: ignore[arg-type]
    scale = 255 / (high - low) if high > low else 1.0
    return image.convert("F").point(lambda value: value * scale - low * scale).convert("L")


def _scaled(
    box: tuple[int, int, int, int], x: float, y: float, bounds: tuple[int, int]
) -> tuple[int, int, int, int]:
    left, top = int(box[0] * x), int(box[1] * y)
    right, bottom = min(bounds[0], round(box[2] * x)), min(bounds[1], round(box[3] * y))
    return left, top, max(left + 1, right), max(top + 1, bottom)


def _save_animated(
    image: Image.Image, target: str, box: tuple[int, int, int, int], size: tuple[int, int]
) -> str:
    frames: list[Image.Image] = []
    durations: list[int] = []
    for frame in ImageSequence.Iterator(image):
        frames.append(frame.convert("RGBA").resize(size, Image.Resampling.BILINEAR, box, reducing_gap=2.0))
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
