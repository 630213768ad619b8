"""Which methods look at patches instead of whole images: the block `patches` of a params file."""

from infer.patches import Patches
from train.data import DataConfig
from train.params import BadParamsError, Params
from train.recipes import find


def patches_of(params: Params, method: str) -> Patches | None:
    """How a method's images are cut; None: they are taken whole.

    A variant takes the patches of the method it is `of`, whose networks it may share.

    Raises:
        BadParamsError: they do not fit the images, or the method cannot do with patches.
    """
    named = params.of("fit", method) or method
    if named not in params.names("patches"):
        return None
    patches = params.block(Patches, "patches", named)
    where = f"{params.path}: patches.{named}"
    image_size = params.block(DataConfig, "data").image_size
    try:
        patches.windows(image_size)
    except ValueError as error:
        raise BadParamsError(f"{where}: {error}", hint="see data.image_size") from error
    if find(method).supervised:
        raise BadParamsError(
            f"{where}: {method} learns from labels, and a label says nothing of a single patch",
            hint="let it take whole images",
        )
    if getattr(params.block(find(method).config, "fit", method), "aligned", False):
        raise BadParamsError(
            f"{where}: {method} asks what is usual at each place of an image, and patches may lie "
            "anywhere",
            hint="let it take whole images; fpi may do without its atlas (fit.fpi.atlas: false)",
        )
    return patches
