"""Thumbnails, by real processes."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageFilter, ImageSequence

from palpo.config.sections.media import MediaConfig
from palpo.core.errors import Unavailable
from palpo.media import image_process
from palpo.media.images import SMALL, ImageTooLarge, ImageUnsupported, ImageWorkers, ThumbnailSpec
from palpo.media.sniff import HEAD, image_type
from palpo.streams.fair_queue import behalf
from tests.media.images import animation, bomb, grey, image, opened, stereo, three_scans

T = Image.Transpose
BACK = {
    2: T.FLIP_LEFT_RIGHT,
    3: T.ROTATE_180,
    4: T.FLIP_TOP_BOTTOM,
    5: T.TRANSPOSE,
    6: T.ROTATE_90,
    7: T.TRANSVERSE,
    8: T.ROTATE_270,
}
"""What makes of an upright image what a camera stores, by its orientation."""


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


@pytest.mark.parametrize(
    ("data", "animated"),
    [
        pytest.param(lambda: image(4000, 3000, "PNG", "RGBA"), False, id="png"),
        pytest.param(lambda: image(4000, 3000, "TIFF", "CMYK"), False, id="tiff"),
        pytest.param(lambda: grey("TIFF", "F", 0, 1, side=3000), False, id="float"),
        pytest.param(lambda: image(4000, 3000, "AVIF", speed=10), False, id="avif"),
        pytest.param(lambda: image(4000, 3000, "WEBP", method=0), False, id="webp"),
        pytest.param(lambda: image(8000, 6000, "JPEG"), False, id="jpeg"),
        pytest.param(lambda: image(8000, 6000, "JPEG", progressive=True), False, id="progressive"),
        pytest.param(lambda: image(4000, 3000, "JPEG", "CMYK", progressive=True), False, id="cmyk"),
        pytest.param(lambda: three_scans(4000, 3000), False, id="scans"),
        pytest.param(lambda: stereo(4000, 3000), False, id="mpo"),
        pytest.param(lambda: animation(2000, 1500, 9, kind="GIF"), True, id="gif"),
        pytest.param(lambda: animation(2000, 1500, 9, kind="PNG"), True, id="apng"),
        pytest.param(lambda: animation(2000, 1500, 9, kind="WEBP"), True, id="animation"),
    ],
)
async def test_the_memory_that_images_take(tmp_path: Path, data: Callable[[], bytes], animated: bool) -> None:
    """It is known before they are decoded."""
    source, target = tmp_path / "source", tmp_path / "target"
    workers = ImageWorkers(max_pixels=MediaConfig().max_pixels, count=1)
    try:
        await workers.inspect(saved(tmp_path, image(10, 10)))
        before = _peak(workers)
        source.write_bytes(data())
        spec = ThumbnailSpec(width=640, height=480, animated=animated)
        assert (await workers.thumbnail(source, target, spec)).animated == animated
        taken = _peak(workers) - before
    finally:
        await workers.close()
    job = {**asdict(spec), "op": "thumbnail", "source": source, "max_pixels": MediaConfig().max_pixels}
    with Image.open(source) as opened_source:
        needed = image_process.bytes_needed(opened_source, job)
    assert taken - 40e6 < needed < 2 * taken + 10e6


def _peak(workers: ImageWorkers) -> int:
    """Bytes that the only process has had at once."""
    status = Path(f"/proc/{workers._idle[0].pid}/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


async def test_one_large_image_at_a_time(tmp_path: Path) -> None:
    """No small one waits for it, and it is each user's turn."""
    workers = ImageWorkers(max_pixels=MediaConfig().max_pixels)
    large = tmp_path / "large"
    large.write_bytes(bomb(5000, 3000))
    small = saved(tmp_path, image(1000, 1000))
    done: list[str] = []

    async def make(user: str, source: Path) -> None:
        behalf.set(user)
        target = tmp_path / f"target-{user}"
        assert not (await workers.thumbnail(source, target, ThumbnailSpec(width=32, height=32))).original
        done.append(user)

    try:
        async with workers.large.turn("@x:x"):
            waiting = [asyncio.ensure_future(make(user, large)) for user in ("@a:x", "@a:x", "@b:x")]
            await asyncio.gather(*(make(user, small) for user in ("@a:x", "@b:x", "@c:x")))
            await _waiting(workers, len(waiting))
            assert (workers.large.busy, workers.queue.busy) == (1, 0)
            assert sorted(done) == ["@a:x", "@b:x", "@c:x"]
        await asyncio.gather(*waiting)
        # Whoever came first: nobody has two before another has one.
        assert sorted(done[3:]) == ["@a:x", "@a:x", "@b:x"]
        assert done[-1] == "@a:x"
    finally:
        await workers.close()


async def _waiting(workers: ImageWorkers, number: int) -> None:
    while workers.large.waiting < number:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)


async def test_large_files_are_large_images(workers: ImageWorkers, tmp_path: Path) -> None:
    """Some decoders read them whole, and copy them."""
    source = saved(tmp_path, image(10, 10, "WEBP"))
    with source.open("ab") as file:
        file.truncate(SMALL // 2 + 1)
    async with workers.large.turn("@x:x"):
        asked = asyncio.ensure_future(workers.inspect(source))
        await _waiting(workers, 1)
    assert (await asked).width == 10


async def test_an_animation_of_which_all_frames_would_take_too_much_gets_a_still(
    workers: ImageWorkers, tmp_path: Path
) -> None:
    source, target = saved(tmp_path, animation(400, 300, 60)), tmp_path / "target"
    small = await workers.thumbnail(source, target, ThumbnailSpec(width=32, height=32, animated=True))
    assert small.animated
    large = await workers.thumbnail(source, target, ThumbnailSpec(width=320, height=240, animated=True))
    assert not large.animated


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("size", [(37, 23), (90, 60), (300, 200)])
def test_bands_leave_no_seams(monkeypatch: pytest.MonkeyPatch, mode: str, size: tuple[int, int]) -> None:
    """They are the same as the whole image made smaller at once."""
    noise = Image.effect_noise((600, 400), 100).filter(ImageFilter.GaussianBlur(2))
    source = Image.merge(mode, [noise.rotate(180 * number) for number in range(len(mode))])
    box = (20, 10, 590, 390)
    at_once = source.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=2.0)
    monkeypatch.setattr(image_process, "BAND", 20_000)
    colours = "RGBA" if mode == "RGBA" else "RGB"
    bands = image_process.resized(source, box, size, colours, Image.Resampling.LANCZOS)
    apart = ImageChops.difference(bands, at_once.convert(colours)).getextrema()
    assert max(most for _, most in apart) <= 4


@pytest.mark.parametrize("crop", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
async def test_all_ways_to_turn_a_photo(
    workers: ImageWorkers, tmp_path: Path, orientation: int, crop: bool
) -> None:
    """The thumbnail is what would have been made of the upright photo."""
    upright = Image.linear_gradient("L").resize((320, 480))
    upright.paste(255, (0, 0, 160, 240))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright if orientation == 1 else upright.transpose(BACK[orientation])
    stored.save(tmp_path / "source", "JPEG", exif=exif, quality=95)
    spec = ThumbnailSpec(width=96, height=96 if crop else 64, crop=crop)
    facts = await workers.thumbnail(tmp_path / "source", tmp_path / "target", spec)
    upright.save(tmp_path / "upright", "JPEG", quality=95)
    await workers.thumbnail(tmp_path / "upright", tmp_path / "expected", spec)
    made, expected = (Image.open(tmp_path / name) for name in ("target", "expected"))
    assert (facts.width, facts.height) == made.size == expected.size
    assert ImageChops.difference(made, expected).getextrema()[0][1] <= 16


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
