"""Thumbnails, by real processes."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import ImageSequence

from palpo.config.model import MediaConfig
from palpo.core.errors import Unavailable
from palpo.media import image_process
from palpo.media.images import ImageTooLarge, ImageUnsupported, ImageWorkers, ThumbnailSpec
from palpo.media.sniff import HEAD, image_type
from palpo.streams.fair_queue import behalf
from tests.media.images import animation, bomb, grey, image, opened, stereo


@pytest.fixture
async def workers() -> AsyncIterator[ImageWorkers]:
    made = ImageWorkers(max_pixels=1_000_000, count=1)
    yield made
    await made.close()


def saved(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "source"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("width", "height", "crop", "size"),
    [
        (32, 32, False, (64, 32)),
        (32, 32, True, (32, 32)),
        (320, 240, False, (480, 240)),
        (320, 240, True, (320, 240)),
        (100, 390, True, (100, 390)),
    ],
)
async def test_sizes(
    workers: ImageWorkers, tmp_path: Path, width: int, height: int, crop: bool, size: tuple[int, int]
) -> None:
    source, target = saved(tmp_path, image(800, 400)), tmp_path / "target"
    facts = await workers.thumbnail(source, target, ThumbnailSpec(width=width, height=height, crop=crop))
    assert (facts.width, facts.height) == opened(target.read_bytes()).size == size
    assert not facts.original


@pytest.mark.parametrize(("width", "height"), [(800, 400), (801, 10), (10, 400), (2000, 2000)])
async def test_nothing_is_made_larger(workers: ImageWorkers, tmp_path: Path, width: int, height: int) -> None:
    source, target = saved(tmp_path, image(800, 400)), tmp_path / "target"
    facts = await workers.thumbnail(source, target, ThumbnailSpec(width=width, height=height))
    assert facts.original
    assert facts.content_type == "image/png"
    assert not target.exists()


async def test_a_crop_is_taken_from_the_middle(workers: ImageWorkers, tmp_path: Path) -> None:
    source, target = saved(tmp_path, image(900, 300, "JPEG", quality=95)), tmp_path / "target"
    await workers.thumbnail(source, target, ThumbnailSpec(width=96, height=96, crop=True))
    made = opened(target.read_bytes()).convert("RGB")
    left, right = made.getpixel((10, 48)), made.getpixel((86, 48))
    assert left[0] > 200 > 50 > left[2]
    assert right[2] > 200 > 50 > right[0]


async def test_transparency_is_kept(workers: ImageWorkers, tmp_path: Path) -> None:
    source, target = saved(tmp_path, image(100, 100, mode="RGBA")), tmp_path / "target"
    facts = await workers.thumbnail(source, target, ThumbnailSpec(width=32, height=32))
    made = opened(target.read_bytes())
    assert facts.content_type == "image/png"
    assert made.getpixel((5, 5)) == (255, 0, 0, 128)


async def test_a_photo_is_turned_upright(workers: ImageWorkers, tmp_path: Path) -> None:
    exif = opened(image(1, 1)).getexif()
    exif[0x0112] = 6
    source, target = saved(tmp_path, image(400, 200, "JPEG", exif=exif)), tmp_path / "target"
    assert (await workers.inspect(source)).height == 400
    facts = await workers.thumbnail(source, target, ThumbnailSpec(width=32, height=32))
    made = opened(target.read_bytes())
    assert (facts.width, facts.height) == made.size == (32, 64)
    assert not made.getexif()


async def test_animations(workers: ImageWorkers, tmp_path: Path) -> None:
    source, target = saved(tmp_path, animation(200, 100)), tmp_path / "target"
    still = await workers.thumbnail(source, target, ThumbnailSpec(width=32, height=32))
    assert not still.animated
    assert getattr(opened(target.read_bytes()), "n_frames", 1) == 1
    moving = await workers.thumbnail(source, target, ThumbnailSpec(width=32, height=32, animated=True))
    assert moving.animated
    assert moving.content_type == "image/webp"
    assert getattr(opened(target.read_bytes()), "n_frames", 1) == 3
    large = ThumbnailSpec(width=800, height=600)
    assert not (await workers.thumbnail(source, target, large)).animated
    assert (
        await workers.thumbnail(source, target, ThumbnailSpec(width=800, height=600, animated=True))
    ).original


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
async def test_animations_keep_their_frames_and_their_pace(
    workers: ImageWorkers, tmp_path: Path, kind: str
) -> None:
    source, target = saved(tmp_path, animation(200, 100, kind=kind)), tmp_path / "target"
    spec = ThumbnailSpec(width=32, height=32, crop=True, animated=True)
    assert (await workers.thumbnail(source, target, spec)).animated
    made = opened(target.read_bytes())
    assert (made.size, made.format, getattr(made, "n_frames", 1)) == ((32, 32), "WEBP", 3)
    assert (made.info["duration"], made.info["loop"]) == (50, 0)
    reds = []
    for frame in ImageSequence.Iterator(made):
        pixel = frame.convert("RGB").getpixel((16, 16))
        assert isinstance(pixel, tuple)
        reds.append(pixel[0])
    assert reds == pytest.approx([0, 80, 160], abs=12)


async def test_a_long_animation_gets_a_still(workers: ImageWorkers, tmp_path: Path) -> None:
    frames = image_process.MAX_FRAMES + 1
    source, target = saved(tmp_path, animation(16, 16, frames)), tmp_path / "target"
    spec = ThumbnailSpec(width=8, height=8, animated=True)
    assert not (await workers.thumbnail(source, target, spec)).animated
    assert getattr(opened(target.read_bytes()), "n_frames", 1) == 1


@pytest.mark.parametrize(
    ("kind", "modes"),
    [
        ("PNG", ("RGB", "RGBA", "L", "1")),
        ("JPEG", ("RGB", "CMYK", "L")),
        ("GIF", ("RGB", "RGBA", "L", "1")),
        ("WEBP", ("RGB", "RGBA", "L")),
        ("AVIF", ("RGB", "RGBA", "L")),
        ("BMP", ("RGB", "RGBA", "L", "1")),
        ("TIFF", ("RGB", "RGBA", "CMYK", "L", "1")),
    ],
)
async def test_formats(workers: ImageWorkers, tmp_path: Path, kind: str, modes: tuple[str, ...]) -> None:
    for mode in modes:
        data = image(400, 200, kind, mode)
        assert image_type(data[:HEAD]) is not None
        source, target = saved(tmp_path, data), tmp_path / "target"
        facts = await workers.thumbnail(source, target, ThumbnailSpec(width=32, height=32, animated=True))
        assert opened(target.read_bytes()).size == (64, 32)
        assert facts.content_type in ("image/png", "image/jpeg")


@pytest.mark.parametrize("kind", ["BMP", "TIFF"])
async def test_what_browsers_do_not_show_is_no_thumbnail(
    workers: ImageWorkers, tmp_path: Path, kind: str
) -> None:
    source, target = saved(tmp_path, image(40, 20, kind)), tmp_path / "target"
    facts = await workers.thumbnail(source, target, ThumbnailSpec(width=320, height=240))
    assert (facts.content_type, facts.original) == ("image/jpeg", False)
    assert opened(target.read_bytes()).size == (40, 20)


@pytest.mark.parametrize(
    ("kind", "mode", "darkest", "brightest"),
    [
        ("PNG", "I;16", 0, 65535),
        ("TIFF", "I;16", 0, 65535),
        ("TIFF", "I", 0, 1_000_000),
        ("TIFF", "F", 0, 1),
        ("TIFF", "F", -500, 500),
    ],
)
async def test_grey_in_many_bits_stays_grey(
    workers: ImageWorkers, tmp_path: Path, kind: str, mode: str, darkest: float, brightest: float
) -> None:
    source, target = saved(tmp_path, grey(kind, mode, darkest, brightest)), tmp_path / "target"
    await workers.thumbnail(source, target, ThumbnailSpec(width=32, height=32))
    made = opened(target.read_bytes()).convert("L")
    shades = [made.getpixel((x, 16)) for x in (1, 8, 16, 24, 30)]
    assert [round(shade / 32) for shade in shades] == [0, 2, 4, 6, 8]


async def test_a_photograph_with_a_second_image(workers: ImageWorkers, tmp_path: Path) -> None:
    source, target = saved(tmp_path, stereo(400, 200)), tmp_path / "target"
    facts = await workers.thumbnail(source, target, ThumbnailSpec(width=32, height=32, animated=True))
    assert (facts.content_type, facts.animated) == ("image/jpeg", False)
    facts = await workers.inspect(source)
    assert (facts.content_type, facts.animated) == ("image/jpeg", False)


async def test_a_large_photograph(tmp_path: Path) -> None:
    """48 megapixels, by the default configuration; another format has to be decoded whole."""
    workers = ImageWorkers(max_pixels=MediaConfig().max_pixels, count=1)
    try:
        for options in ({}, {"progressive": True}):
            source, target = saved(tmp_path, image(8064, 6048, "JPEG", "L", **options)), tmp_path / "target"
            await workers.thumbnail(source, target, ThumbnailSpec(width=320, height=240))
            assert opened(target.read_bytes()).size == (320, 240)
        with pytest.raises(ImageTooLarge):
            await workers.inspect(saved(tmp_path, bomb(8064, 6048)))
    finally:
        await workers.close()


async def test_a_decompression_bomb(workers: ImageWorkers, tmp_path: Path) -> None:
    data = bomb(4000, 4000)
    assert len(data) < 100_000
    with pytest.raises(ImageTooLarge):
        await workers.inspect(saved(tmp_path, data))


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"<svg/>", image(100, 100)[:60], b"\xff\xd8\xff" + bytes(100), b"%!PS-Adobe"]
)
async def test_what_is_no_image(workers: ImageWorkers, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ImageUnsupported):
        await workers.thumbnail(saved(tmp_path, data), tmp_path / "t", ThumbnailSpec(width=32, height=32))


@pytest.mark.parametrize("waited_for", [False, True], ids=["unnoticed", "reaped"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
async def test_a_process_that_died_is_replaced(
    workers: ImageWorkers, tmp_path: Path, number: signal.Signals, waited_for: bool
) -> None:
    source = saved(tmp_path, image(10, 10))
    await workers.inspect(source)
    process = workers._idle[0]
    os.kill(process.pid, number)
    if waited_for:
        await process.wait()
        await asyncio.sleep(0.05)  # For the loop to see that the pipe is closed.
    assert (await workers.inspect(source)).width == 10
    assert workers._idle[0].pid != process.pid


async def test_a_process_that_had_nothing_to_do_is_replaced(workers: ImageWorkers, tmp_path: Path) -> None:
    source = saved(tmp_path, image(10, 10))
    await workers.inspect(source)
    process = workers._idle[0]
    assert process.stdin is not None
    process.stdin.close()  # It ends of itself, as after IDLE_SECONDS.
    assert await process.wait() == 0
    assert (await workers.inspect(source)).width == 10


async def test_all_processes_that_died_are_replaced(tmp_path: Path) -> None:
    workers = ImageWorkers(max_pixels=1_000_000, count=3)
    source = saved(tmp_path, image(10, 10))

    async def ask(user: str) -> int:
        behalf.set(user)
        return (await workers.inspect(source)).width

    await asyncio.gather(*map(ask, "abc"))
    assert len(workers._idle) == 3
    for process in workers._idle:
        process.kill()
        await process.wait()
    assert await asyncio.gather(*map(ask, "abcabc")) == [10] * 6
    await workers.close()


async def test_a_process_that_hangs_is_replaced(workers: ImageWorkers, tmp_path: Path) -> None:
    source = saved(tmp_path, image(10, 10))
    await workers.inspect(source)
    os.kill(workers._idle[0].pid, signal.SIGSTOP)
    workers._timeout_s = 0.1
    with pytest.raises(ImageUnsupported):
        await workers.inspect(source)
    workers._timeout_s = 60
    assert (await workers.inspect(source)).width == 10


async def test_no_process_can_be_started(
    workers: ImageWorkers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = saved(tmp_path, image(10, 10))
    with monkeypatch.context() as changed:
        changed.setattr(sys, "executable", "/nowhere/python")
        with pytest.raises(Unavailable):
            await workers.inspect(source)
    assert (await workers.inspect(source)).width == 10


async def test_time_runs_out(tmp_path: Path) -> None:
    workers = ImageWorkers(max_pixels=1_000_000, timeout_s=0.001)
    with pytest.raises(ImageUnsupported):
        await workers.inspect(saved(tmp_path, image(10, 10)))
    await workers.close()


async def test_one_user_leaves_a_process_to_others(tmp_path: Path) -> None:
    workers = ImageWorkers(max_pixels=1_000_000, count=2)
    source = saved(tmp_path, image(10, 10))
    behalf.set("@a:x")
    async with workers.queue.turn():  # As long as this user likes.
        behalf.set("@a:x")
        waiting = asyncio.ensure_future(workers.inspect(source))
        await asyncio.sleep(0)
        behalf.set("@b:x")
        assert (await workers.inspect(source)).width == 10
        assert not waiting.done()
    assert (await waiting).width == 10
    await workers.close()
