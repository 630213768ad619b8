"""Is a JPEG stream damaged? Its decoders know, and go on with grey: they print a line at most.

Found is data that breaks off, goes on after the last pixel, or holds codes that are none. JPEG has
no checksum: bytes that were changed into others that might have been there are other pixels.
"""

# What libjpeg says of unusual headers; all that it says otherwise is of data.
_HARMLESS = ("Invalid SOS parameters", "Unknown Adobe color transform")


def claimed_pixels(stream: bytes) -> int:
    """How many pixels its header claims; 0 of a kind that is not known here."""
    import simplejpeg

    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(stream, strict=False)
    except (ValueError, KeyError):  # of colours or sampling that it has no word for
        return 0
    return int(height * width)


def is_damaged(stream: bytes) -> bool:
    """Whether a decoder would have to guess; False of a kind that is not known here."""
    import simplejpeg

    if not claimed_pixels(stream):
        return False
    try:
        # All of the data, though to the smallest picture: most of the work is left out.
        simplejpeg.decode_jpeg(stream, "GRAY", min_height=1, min_width=1, min_factor=8, strict=True)
    except ValueError as error:
        return not str(error).startswith(_HARMLESS)
    return False
