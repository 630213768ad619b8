"""What a model file is, in words: for people who were handed one."""

from pathlib import Path

from infer.engine import read_manifest
from infer.manifest import Manifest, Recalibration, Variant
from infer.masking import Postprocessing
from infer.preprocessing import Preprocessing
from infer.slicing import WHOLE, SliceRange
from infer.volumetric import is_volumetric


def describe_model(path: Path, *, public_key: Path | None = None) -> str:
    """Everything the manifest says that a user of the model should know."""
    manifest = read_manifest(path, public_key=public_key)
    lines = {"file": f"{path} ({path.stat().st_size / 2**20:.1f} MiB)", **facts(manifest)}
    width = max(map(len, lines))
    below = "\n" + " " * (width + 2)
    indented = {name: value.replace("\n", below) for name, value in lines.items()}
    return "\n".join(f"{name:<{width}}  {value}" for name, value in indented.items())


def facts(manifest: Manifest) -> dict[str, str]:
    """The same, by what each is about."""
    intensity, normals, origin = manifest.intensity, manifest.normals, manifest.provenance
    post = manifest.postprocessing
    whole = is_volumetric(manifest.image_size)
    image = "volume" if whole else "slice"
    decided = "score is above" if manifest.anomalous_by == "score" else "mask is not empty; score:"
    return {
        "method": f"{manifest.method}, fitted in study {manifest.study}",
        "takes": (
            f"{manifest.modality}, {manifest.channels} channel(s), "
            f"{'whole volumes' if whole else f'{manifest.plane} slices'} "
            f"at {' × '.join(map(str, manifest.image_size))}" + _range(manifest.slice_range)
        ),
        **_patches(manifest),
        "intensity": (
            f"{intensity.recipe} {intensity.low:g} to {intensity.high:g} {_unit(manifest)} "
            f"→ {intensity.output_low:g} to {intensity.output_high:g}" + _standardised(manifest)
        ),
        "preprocessing": _preprocessing(manifest.preprocessing),
        _scored(manifest, image): manifest.score_recipe,
        "scan score": "the volume's" if whole else _aggregation(manifest.aggregation.top_share),
        "anomalous if": f"{decided} {manifest.score_threshold.value:.6g}",
        "chosen by": manifest.score_threshold.chosen_by,
        "mask if": f"map is above {manifest.map_threshold.value:.6g}",
        "chosen by ": manifest.map_threshold.chosen_by,
        **_map_filter(post),
        "mask cleaning": (
            f"closing radius {post.closing_radius_px} px, "
            f"lesions of at least {post.smallest_lesion_px} px"
        ),
        "normal scans": _scores(normals.scores),
        **_recalibrated(manifest.recalibrated),
        **_variant(manifest.variant),
        "parity": _parity(manifest),
        "made by": f"MLflow run {origin.mlflow_run_id}, seed {origin.seed}",
        **_members(origin.members),
        "code": origin.git_commit + (" with uncommitted changes" if origin.git_dirty else ""),
        "data": origin.data_hash,
        "versions": ", ".join(f"{name} {version}" for name, version in origin.versions.items())
        or "not recorded",
        "schema": str(manifest.schema),
    }


def _scored(manifest: Manifest, image: str) -> str:
    """Whose score the recipe is of: the graph scores whatever it takes."""
    by_patch = manifest.patches is not None and manifest.aggregation.slice_score == "graph"
    return "patch score" if by_patch else f"{image} score"


def _preprocessing(recipe: Preprocessing) -> str:
    quiet = {
        "none": "no noise reduction",
        "median": f"median of {recipe.noise_px} px",
        "non_local_means": (
            f"non-local means (patches of {recipe.noise_px} px in {recipe.noise_search_px} px, "
            f"strength {recipe.noise_strength:g} of the intensity range)"
        ),
    }
    seen = {
        "none": "all of a slice is seen",
        "stripped": "only what lies in a background of one single value",
        "body": "only the body",
        "brain": "only the brain",
    }
    count = len(recipe.blank)
    blank = f"; blank in {count} rectangle{'s' if count > 1 else ''}" if count else ""
    return f"{quiet[recipe.noise]}; {seen[recipe.foreground]}{blank}"


def _map_filter(post: Postprocessing) -> dict[str, str]:
    """Of a model whose map is changed before its threshold only."""
    if not post.acts_on_map:
        return {}
    steps = []
    if post.foreground != "none":
        steps.append(f"kept in the foreground ({post.foreground})")
    prior = _prior(post)
    if post.prior_first:
        steps += prior
    if post.median != "none":
        cube = "squares" if post.median == "slices" else "cubes"
        steps.append(f"median of {cube} of {post.median_px} px")
    if post.gaussian != "none":
        where = "in slices" if post.gaussian == "slices" else "along every axis"
        steps.append(f"Gaussian of {post.gaussian_px:g} px {where}")
    if post.erosion_radius_px:
        steps.append(f"none within {post.erosion_radius_px} px of the foreground's border")
    if not post.prior_first:
        steps += prior
    return {"map before": ", ".join(steps)}


def _prior(post: Postprocessing) -> list[str]:
    if post.prior == "none":
        return []
    side, *ramp = post.prior.split("_")
    how = "weighed by how far a voxel lies within" if ramp else "kept within"
    return [f"{how} the {side}est {post.prior_share:.0%}"]


def _standardised(manifest: Manifest) -> str:
    if not manifest.channel_mean:
        return ""
    mean, std = (
        ", ".join(f"{value:g}" for value in values)
        for values in (manifest.channel_mean, manifest.channel_std)
    )
    return f", less {mean}, by {std}"


def _patches(manifest: Manifest) -> dict[str, str]:
    """Of a model that takes patches only."""
    if manifest.patches is None:
        return {}
    size, stride = (
        " × ".join(map(str, sides)) for sides in (manifest.patches.size, manifest.patches.stride)
    )
    count = len(manifest.patches.windows(manifest.image_size))
    image = "volume" if is_volumetric(manifest.image_size) else "slice"
    said = f"of {size} every {stride}, {count} per {image}"
    if manifest.aggregation.slice_score == "graph":
        said += (
            f"; {image} score: mean of the highest {manifest.patches.top_share:.1%} of its "
            "patches', of at least one"
        )
    return {"in patches": said}


def _members(runs: dict[str, str]) -> dict[str, str]:
    """Of an ensemble only."""
    said = "\n".join(f"{name}, MLflow run {run_id}" for name, run_id in runs.items())
    return {"members": said} if runs else {}


def _recalibrated(history: tuple[Recalibration, ...]) -> dict[str, str]:
    """Of a model whose thresholds are a site's own."""
    said = "\n".join(
        f"{it.made}, on {it.scans} normal scans of the site (contents {it.scans_sha256[:12]}), "
        f"from file {it.original_sha256[:12]}: score threshold was {it.score_threshold.value:.6g}, "
        f"{it.score_threshold.chosen_by}; map threshold was {it.map_threshold.value:.6g}"
        for it in history
    )
    return {"recalibrated": said} if history else {}


def _aggregation(top_share: float) -> str:
    return f"mean of the highest {top_share:.1%} of its slices, of at least one"


def _scores(scores: tuple[float, ...]) -> str:
    if not scores:
        return "none recorded"
    middle = scores[len(scores) // 2]
    return f"{len(scores)}: score {scores[0]:.6g} to {scores[-1]:.6g}, median {middle:.6g}"


def _variant(variant: Variant | None) -> dict[str, str]:
    """Of a file in fp16 or int8."""
    if variant is None:
        return {}
    kept = ", ".join(variant.left_in_float)
    return {
        "variant": f"in {variant.precision}, of file {variant.of[:12]} in fp32: {variant.how}"
        + (f"\nleft in float: {kept}" if kept else "")
        + f"\non {variant.scans} validation scans: correlation of scores with that file's "
        f"{variant.correlation:.5f}, AUROC {variant.auroc:.3f} (that file's "
        f"{variant.auroc_before:.3f}), {variant.decided_otherwise} decided otherwise; "
        f"accepted on {', '.join(variant.accepted_on)}"
    }


def _parity(manifest: Manifest) -> str:
    parity = manifest.parity
    origin = "the file in fp32" if manifest.variant else "torch"
    return (
        f"map {parity.anomaly_map:.1e}, score {parity.score:.1e} from {origin} "
        f"on {parity.images} images ({parity.measured_on})"
    )


def _unit(manifest: Manifest) -> str:
    """Of the intensity range, and of whose values it is."""
    inside = {
        "all": "each scan's values",
        "stripped": "each scan's values, but for the single one of its background",
        "body": "each scan's body",
    }
    match manifest.intensity.recipe:
        case "percentile":
            return f"% of {inside[manifest.intensity.inside]}"
        case "zscore":
            return f"standard deviations from the mean of {inside[manifest.intensity.inside]}"
        case "window":
            return "HU" if manifest.modality == "CT" else "of the scanner's values"


def _range(slice_range: SliceRange) -> str:
    if slice_range == WHOLE:
        return ""
    low, high = slice_range
    return f", from {low:.0%} to {high:.0%} of a volume"
