"""All test examples of a set as small images on one page, the worst first, sortable.

| target | images of an example |
|---|---|
| map | observed, predicted, residual, on one scale |
| map of classes | true, predicted, and where they differ |
| number or class | the image; of a class only those that were predicted wrongly |
"""

import io
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import xarray as xr
from PIL import Image

from skyloom import plotting
from skyloom.cli import BadInput
from skyloom.pages.document import data_uri, small
from skyloom.pages.table import number
from skyloom.pages.words import Words
from skyloom.patchset import flag_names

SIDES = (96, 64, 48, 32)  # of an image [pixel], the largest that fits
BUDGET = 3_300_000  # bytes of all images; base64 makes four thirds of them
QUALITY = 82  # of JPEG
GAP = 2  # pixels between the images of an example
CLASSES = "tab10"
WRONG = np.array([[235, 235, 235], [160, 54, 27]], np.uint8)  # right, wrong

STYLE = """
body { max-width: 90rem } #tiles { display: flex; flex-wrap: wrap; gap: 1rem }
#tiles figure { margin: 0; width: min-content; min-width: 9rem }
#tiles img { display: block; max-width: none; image-rendering: pixelated }
#tiles figcaption { font-size: .75rem; line-height: 1.35; color: #5c5c5c }
"""
SCRIPT = """
const list = document.getElementById("tiles"), choice = document.getElementById("order");
choice.parentElement.hidden = false;
choice.addEventListener("change", () => {
  const [name, sign] = choice.value.split(" ");
  const tiles = [...list.children];
  tiles.sort((a, b) => sign * (a.dataset[name] - b.dataset[name]));
  list.append(...tiles);
});
"""


class Order(NamedTuple):
    """A score or coordinate of single examples; `sign` is 1 where small values come first."""

    name: str
    sign: int
    label: str
    unit: str


def orders(examples: xr.Dataset, stated: Sequence[str], words: Words) -> list[Order]:
    """What the page sorts by: the variables and coordinates that the config names, or all scores.

    examples : scores (example) with the coordinates of the test rows.
    """
    scores = [str(name) for name in examples.data_vars if examples[name].dims == ("example",)]
    # models of a class and of a number have different scores
    chosen = [name for name in stated if name.lstrip("-") in examples.variables]
    if stated and not chosen:
        raise BadInput(
            f"config: comparison.tiles: {', '.join(stated)} not found; expected some of "
            f"{', '.join(map(str, examples.variables))}"
        )
    found = []
    for name in chosen or scores:
        bare = name.lstrip("-")
        column = words.column(bare)
        unit = column.unit or examples[bare].attrs.get("units", "")
        found.append(Order(bare, 1 if name.startswith("-") else -1, column.label, unit))
    return found


def page(
    patches: xr.Dataset,
    predictions: xr.Dataset,
    examples: xr.Dataset,
    by: Sequence[Order],
    label: str,
    settings: dict,
) -> str:
    """HTML of the test examples, sorted by the first of `by`.

    patches : the test rows; predictions, examples : the same rows of the model `label`; settings :
        `examples`, the study's word for them.
    """
    rows = np.arange(patches.sizes["example"])
    total, what = len(rows), settings["examples"]
    intro = f"All {total} test {what}"
    if "correct" in examples:
        rows = np.flatnonzero(examples["correct"].values == 0)
        intro = f"The {len(rows)} of {total} test {what} that {label} predicts wrongly"
    if by:
        rows = rows[np.argsort(by[0].sign * examples[by[0].name].values[rows], kind="stable")]
        intro += f", the worst first by {by[0].label}"
    files, side = thumbnails(patches, predictions, rows)
    if len(files) < len(rows):
        intro += f"; {len(rows) - len(files)} are left out"
    body = [f"<p>{escape(intro)}. {escape(legend(patches, predictions, label))}</p>"]
    body.append(_choice(by))
    tiles = [
        _figure(file, side, row, patches, predictions, examples, by)
        for file, row in zip(files, rows, strict=False)
    ]
    body.append(f'<div id="tiles">\n{chr(10).join(tiles)}\n</div>')
    body.append(small(f"Data: {escape(str(patches.attrs['data_kind']))}."))
    return "\n".join(body)


def legend(patches: xr.Dataset, predictions: xr.Dataset, label: str) -> str:
    kind = kind_of(patches, predictions)
    unit = patches["target"].attrs.get("units", "")
    return {
        "map": f"From left to right: observed, {label}, residual. The caption has the scale "
        f"[{unit}], which the residual shares, white at 0.",
        "classes": f"From left to right: true classes, {label}, and in red where they differ.",
        "number": "Each image has a scale of its own.",
    }[kind]


def kind_of(patches: xr.Dataset, predictions: xr.Dataset) -> str:
    """`map`, `classes` (a map of classes) or `number`."""
    if patches["target"].ndim < 3:
        return "number"
    return "classes" if "flag_meanings" in patches["target"].attrs else "map"


# --- images ---------------------------------------------------------------------------------------


def thumbnails(
    patches: xr.Dataset, predictions: xr.Dataset, rows: np.ndarray
) -> tuple[list[bytes], int]:
    """JPEG files of these examples, as many as fit the BUDGET, and the side of their images."""
    strips = [strip(patches, predictions, row) for row in rows]
    for side in SIDES:
        files = [_encoded(parts, side) for parts in strips]
        if sum(map(len, files)) <= BUDGET:
            return files, side
    room = np.cumsum([len(file) for file in files]) <= BUDGET
    return files[: int(room.sum())], side


def strip(patches: xr.Dataset, predictions: xr.Dataset, row: int) -> list[np.ndarray]:
    """The images (y, x, 3) of an example; row 0 of a map is the lowest."""
    kind = kind_of(patches, predictions)
    if kind == "number":
        image = patches[image_name(patches)].values[row]
        # of several channels the first
        image = image.reshape(-1, *image.shape[-2:])[0]
        low, high = np.nanpercentile(image, [0.5, 99.5])
        return [coloured(image, low, high, plotting.MAP)]
    target = patches["target"].values[row]
    prediction = predictions["prediction"]
    if kind == "classes":
        classes = prediction.isel(example=row)
        if "class" in classes.dims:
            classes = classes.argmax("class")
        codes = np.array(list(flag_names(patches["target"])))
        truth = np.searchsorted(np.sort(codes), target)
        palette = (np.array(mpl.colormaps[CLASSES].colors) * 255).astype(np.uint8)
        parts = [palette[values % len(palette)] for values in (truth, classes.values.astype(int))]
        return [part[::-1] for part in (*parts, WRONG[(truth != classes.values).astype(int)])]
    values = prediction.values[row]
    top = scale(target, values)
    finite = target[np.isfinite(target)]
    low = min(0.0, float(np.percentile(finite, 0.5))) if len(finite) else 0.0
    return [
        coloured(target, low, top, plotting.MAP),
        coloured(values, low, top, plotting.MAP),
        coloured(values - target, -top, top, plotting.DIVERGING),
    ]


def scale(target: np.ndarray, prediction: np.ndarray) -> float:
    """The upper end of the colours of an example."""
    both = np.concatenate([target.ravel(), prediction.ravel()])
    both = both[np.isfinite(both)]
    return float(np.percentile(np.abs(both), 99.5)) or 1.0 if len(both) else 1.0


def image_name(patches: xr.Dataset) -> str:
    """The variable that is shown: the first of images of the examples."""
    return next(
        str(name)
        for name, values in patches.data_vars.items()
        if values.dims[0] == "example" and values.ndim >= 3
    )


def coloured(values: np.ndarray, low: float, high: float, colours: str) -> np.ndarray:
    """RGB of an image; grey where it has no value."""
    share = (values - low) / max(high - low, 1e-30)
    rgb = (mpl.colormaps[colours](np.nan_to_num(share))[..., :3] * 255).astype(np.uint8)
    rgb[~np.isfinite(values)] = 200
    return rgb[::-1]


def _encoded(parts: list[np.ndarray], side: int) -> bytes:
    width = len(parts) * (side + GAP) - GAP
    sheet = Image.new("RGB", (width, side), "white")
    for k, part in enumerate(parts):
        smaller = Image.fromarray(part).resize((side, side), _filter(part, side))
        sheet.paste(smaller, (k * (side + GAP), 0))
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=QUALITY, subsampling=0)
    return file.getvalue()


def _filter(part: np.ndarray, side: int):
    return Image.Resampling.NEAREST if side >= len(part) else Image.Resampling.BOX


# --- HTML -----------------------------------------------------------------------------------------


def _choice(by: Sequence[Order]) -> str:
    """The box that chooses the order, hidden where the browser runs no script."""
    options = []
    for order in by:
        for sign in (order.sign, -order.sign):
            side = "smallest" if sign > 0 else "largest"
            text = f"{order.label}, {side} first"
            options.append(f'<option value="{order.name} {sign}">{escape(text)}</option>')
    return f'<p hidden>Sort by <select id="order">{"".join(options)}</select></p>'


def _figure(
    file: bytes,
    side: int,
    row: int,
    patches: xr.Dataset,
    predictions: xr.Dataset,
    examples: xr.Dataset,
    by: Sequence[Order],
) -> str:
    values = {order.name: float(examples[order.name].values[row]) for order in by}
    data = " ".join(f'data-{name}="{value:.6g}"' for name, value in values.items())
    lines = [f"{order.label} {_text(values[order.name])} {order.unit}".strip() for order in by]
    kind = kind_of(patches, predictions)
    if kind == "map":
        top = scale(patches["target"].values[row], predictions["prediction"].values[row])
        lines.append(f"scale 0 to {_text(top)}")
    # a row of numbers has its scores alone
    if kind == "number" and patches["target"].ndim == 1:
        true, stated = (v.values[row] for v in (patches["target"], predictions["prediction"]))
        lines.append(f"true {true:.3g}" + f", predicted {stated:.3g}" * ("correct" not in examples))
    text = " · ".join(escape(line).replace(" ", "&nbsp;") for line in lines)
    image = f'<img src="{data_uri(file, "tile.jpg")}" alt="" height="{side}">'
    return f"<figure {data}>{image}<figcaption>{text}</figcaption></figure>"


def _text(value: float) -> str:
    """A number with three significant digits."""
    size = abs(value)
    return number(value, 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3)
