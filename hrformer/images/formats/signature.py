"""The format of a file, from its first bytes."""

import struct

from hrformer.images.errors import NotAnImage, UnsupportedFormat

_PREFIXES: dict[bytes, str] = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00\x08\x00\x00\x00": "TIFF",
    b"MM\x00+\x00\x08\x00\x00": "TIFF",
}

# Known, and not read: the client is told what the file is rather than that it is nothing.
_FOREIGN: dict[bytes, str] = {
    b"8BPS": "a Photoshop document (PSD)",
    b"%!PS": "PostScript (EPS)",
    b"\xc5\xd0\xd3\xc6": "PostScript (EPS)",
    b"PK\x03\x04": "a ZIP archive",
    b"PK\x05\x06": "a ZIP archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"\x1f\x8b\x08": "gzip data",
    b"BZh": "bzip2 data",
    b"\xfd7zXZ\x00": "xz data",
    b"\x28\xb5\x2f\xfd": "zstd data",
    b"\x7fELF": "an executable",
    b"\xcf\xfa\xed\xfe": "an executable",
    b"\xca\xfe\xba\xbe": "an executable",
    b"\x00\x00\x01\x00": "an icon (ICO)",
    b"\x00\x00\x02\x00": "a cursor (CUR)",
    b"\x00\x00\x00\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\x00\x00\x00\x0cJXL \r\n\x87\n": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"qoif": "a QOI image",
    b"DDS ": "a DDS texture",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"SIMPLE  =": "FITS",
    b"\x93NUMPY": "a numpy array",
    b"\x1aE\xdf\xa3": "a Matroska or WebM video",
    b"OggS": "Ogg media",
    b"ID3": "an MP3 recording",
    b"\x8aMNG\r\n\x1a\n": "an MNG animation",
}

_DIB_HEADER_BYTES = (12, 16, 40, 52, 56, 64, 108, 124)
_AVIF_BRANDS = (b"avif", b"avis")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def file_format(data: bytes) -> str:
    """Name of the format: JPEG, PNG, WEBP, BMP, GIF, TIFF, AVIF or HEIF.

    raises: UnsupportedFormat naming another known format; NotAnImage for everything else, text included.
    """
    for prefix, name in _PREFIXES.items():
        if data.startswith(prefix):
            return name
    structured = _by_structure(data)
    if structured:
        return structured
    foreign = _foreign(data)
    if foreign:
        raise UnsupportedFormat(f"the file is {foreign}, which is not read; send the picture as JPEG or PNG")
    if not data:
        raise NotAnImage("the file is empty; expected the bytes of a picture, such as a JPEG or PNG file")
    raise NotAnImage(
        f"the {len(data)} bytes begin like no known picture format, whatever the file is called; "
        "send the bytes of a JPEG, PNG, WebP, BMP, GIF or TIFF file"
    )


def _by_structure(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:2] == b"BM" and data[14:18] in _BMP_HEADERS:
        return "BMP"
    if data[4:8] == b"ftyp":
        return _iso_media(data)
    return None


_BMP_HEADERS = {struct.pack("<I", size) for size in _DIB_HEADER_BYTES}


def _iso_media(data: bytes) -> str | None:
    brands = _brands(data)
    if any(brand in _AVIF_BRANDS for brand in brands):
        return "AVIF"
    return "HEIF" if any(brand in _HEIF_BRANDS for brand in brands) else None


def _brands(data: bytes) -> list[bytes]:
    """Major brand first, then the compatible ones of an ISO media file type box."""
    end = min(int.from_bytes(data[:4], "big"), len(data), 256)
    return [data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))]


def _foreign(data: bytes) -> str | None:
    for prefix, name in _FOREIGN.items():
        if data.startswith(prefix):
            return name
    if b"%PDF-" in data[:1024]:
        return "a PDF document"
    if data[:2] == b"MZ" and b"\x00" in data[:64]:
        return "an executable"
    if data[:4] == b"RIFF" and data[8:12] in (b"AVI ", b"WAVE"):
        return "a RIFF recording (AVI or WAV)"
    if data[4:8] == b"ftyp":
        return "an ISO media file (MP4, MOV)"
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3] in b" \t\r\n#":
        return "a Netpbm image (PBM, PGM, PPM)"
    return "an SVG drawing" if b"<svg" in data[:4096].lower() else None
