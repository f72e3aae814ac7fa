"""The file of a picture to its pixels: PNG, JPEG or WebP of a bounded size, in the colours of the web."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from liqtruth.compare.imported.documents import Answer
from liqtruth.compare.imported.pictures.palettes import Pixels
from liqtruth.storage.errors import TableRefused
from liqtruth.storage.files.content import DAMAGED, opened

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS: Final = ("PNG", "JPEG", "WEBP")
MOST_BYTES: Final = 32 * 2**20
"""Of a picture's file; a screenshot of the largest screens has 10 million."""
MOST_PIXELS: Final = 20_000_000
"""Of a picture; a screen of 5120 x 2880 has 15 million."""
BROKEN: Final = (*DAMAGED, SyntaxError, TypeError, MemoryError, AttributeError)
"""What decoders of pictures raise where a file breaks off or is damaged."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """Pixels (rows, columns, 3), which of them are not see-through, and how to pack others like them."""

    rgb: Pixels
    solid: npt.NDArray[np.bool_]
    form: str
    packing: dict[str, Any]

    @property
    def lossy(self) -> bool:
        return self.form != "PNG"


def is_picture(path: Path) -> bool:
    """Whether a file begins as a PNG, JPEG or WebP does."""
    try:
        with opened(path) as file:
            head = file.read(12)
    except (OSError, ValueError, TableRefused):
        return False
    return head.startswith((b"\x89PNG", b"\xff\xd8\xff")) or (head[:4], head[8:]) == (b"RIFF", b"WEBP")


def decoded_of(path: Path, answer: Answer) -> Decoded:
    try:
        from PIL import Image
    except ImportError:
        raise answer.refuse(
            "reading a picture needs the extra `picture`: pip install 'liqtruth[picture]'"
        ) from None
    with opened(path) as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise answer.refuse(f"a picture must have at most {MOST_BYTES / 2**20:.0f} MB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_kind(image, answer)
                image.load()
                return _pixels(image)
    except Image.DecompressionBombError:
        raise answer.refuse(f"a picture must have at most {MOST_PIXELS:,} pixels") from None
    except BROKEN as error:
        cause = next(iter(str(error).splitlines()), type(error).__name__)
        raise answer.refuse(f"the picture must be whole, and cannot be decoded: {cause[:80]}") from None


def _check_kind(image: "Image", answer: Answer) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise answer.refuse(f"a picture must have at most {MOST_PIXELS:,} pixels, got {width} x {height}")
    if getattr(image, "is_animated", False):
        raise answer.refuse("a picture must have one frame, got an animation")
    if image.mode not in ("RGB", "RGBA", "P"):
        raise answer.refuse(f"a picture must be in colours of red, green and blue, got mode {image.mode}")


def _pixels(image: "Image") -> Decoded:
    form = str(image.format)
    packing: dict[str, Any] = {"format": form}
    if form == "JPEG":
        from PIL.JpegImagePlugin import get_sampling

        packing |= {"qtables": getattr(image, "quantization", None)}
        if (sampling := get_sampling(image)) >= 0:
            packing |= {"subsampling": sampling}
    seen = np.asarray(_in_srgb(image).convert("RGBA"))
    return Decoded(np.ascontiguousarray(seen[:, :, :3]), seen[:, :, 3] == 255, form, packing)


def _in_srgb(image: "Image") -> "Image":
    """Screens with colours of their own write them down in the picture; one that cannot be read is taken as it is."""
    profile = image.info.get("icc_profile")
    if not profile:
        return image
    from PIL import ImageCms

    mode = "RGB" if image.mode == "RGB" else "RGBA"
    try:
        own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image.convert(mode), own, srgb, outputMode=mode)
    except (ImageCms.PyCMSError, *BROKEN):
        return image
    return converted or image
