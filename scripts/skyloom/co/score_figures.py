"""The CO study's figures of scores, each of one set, drawn from the curves.nc of its models.

The figures of a paper show the network that validation chose, the best baseline and the network
that was published before; `spectra_full` and `plane` show all models. The observed CO is black,
references and bounds are grey.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from astropy.stats import gaussian_fwhm_to_sigma
from matplotlib.figure import Figure

from skyloom import files, plotting
from skyloom.cli import BadInput, require
from skyloom.co.figures import CO_UNIT, featured
from skyloom.plotting import OBSERVED, Look
from skyloom.scores.comparison import published_models
from skyloom.scores.forecasts import NOMINAL

DUST = Look("dust map", "0.55", "h", "-", 2.4)
CEILING = Look(r"noise ceiling $\sqrt{S/(S+N)}$", "0.35", "*", (0, (1, 1.5)), 1.2)
TRUTH = Look("noise-free truth $S/(S+N)$", "0.35", "*", (0, (3, 1.5)), 1.2)
NOISE = Look("noise (null map)", "0.35", "x", (0, (1, 3)), 1.2)
MISREAD = 0.03  # error of published curves, which were read off figures
MERGED = 4  # bins of W that the histogram's figure takes together: steps of a model are no feature
CURVES = ("rho_l", "cl_ratio", "cl", "rho_l_dust", "v0_difference", "pdf", "latitude_bias")
SPECTRA = ("cl", "rho_l", "rho_l_dust", "cl_ratio")  # of the panels of `spectra`
FUNCTIONALS = {
    "v0": "area",
    "v1": r"boundary length [deg$^{-1}$]",
    "v2": r"Euler number [deg$^{-2}$]",
}
POWER_UNIT = r"(K km s$^{-1}$)$^2$ sr"


@dataclass(frozen=True)
class Scores:
    """Scores of the models of one set at one subset of the test tiles."""

    curves: dict[str, list[xr.Dataset]]  # model -> curves.nc of its seeds
    subset: str
    looks: dict[str, Look]
    shown: tuple[str, ...]  # models of figures that cannot show all
    constant: str | None  # the model that is a constant times the dust
    published: dict  # published.yaml

    @property
    def first(self) -> xr.Dataset:
        return next(iter(self.curves.values()))[0]

    @property
    def line(self) -> str:
        return self.first.attrs["line"].replace("J=", "")

    @property
    def title(self) -> str:
        return f"{self.line}, {int(self.first.n_tiles)} {self.subset} test tiles"

    @property
    def stochastic(self) -> list[str]:
        """Models of which a realisation was scored."""
        return [model for model, seeds in self.curves.items() if "sample" in seeds[0]["of"].values]

    def field(self, model: str) -> str:
        """What stands for a model's texture: one realisation, where it draws some."""
        return "sample" if model in self.stochastic else "prediction"

    def mean(self, model: str, name: str, **where) -> np.ndarray:
        """(3, ...): value and 68 % interval of a curve, the mean over seeds."""
        seeds = self.curves[model]
        return np.array(
            [
                np.mean([s[name + end].sel(where).values for s in seeds], 0)
                for end in ("", "_lo", "_hi")
            ]
        )

    def reference(self, name: str, **where) -> np.ndarray:
        """(3, ...): value and 68 % interval of a curve that all models share."""
        return self.mean(next(iter(self.curves)), name, **where)


def read(paths: Sequence[Path], config: dict, comparison: Path, published: dict) -> Scores:
    """The curves of one set's models.

    config : `subset`, and `models`, of `Study.looks`; comparison : comparison.csv, for the models
        that are shown; published : published.yaml.
    Raises BadInput where a file has no curves, another set, or not this subset.
    """
    curves = {}
    for path in paths:
        with files.open_dataset(path) as file:
            require(file.variables, CURVES, path, "variable")
            if config["subset"] not in file.subset.values:
                found = ", ".join(file.subset.values)
                raise BadInput(
                    f"{path}: subset {config['subset']} not found (subsets: {found}); too few "
                    "test tiles for it?"
                )
            curves.setdefault(file.attrs["model"], []).append(
                file.load().sel(subset=config["subset"])
            )
    sets = {seed.attrs["set"] for seeds in curves.values() for seed in seeds}
    if len(sets) > 1:
        raise BadInput(
            f"--curves: models of the sets {', '.join(sorted(sets))}; expected one set, whose "
            "tiles they share"
        )
    models = config["models"]
    names = dict.fromkeys([*featured(comparison, sets.pop()), *published["network"]])
    return Scores(
        curves,
        config["subset"],
        plotting.model_looks(models),
        shown=tuple(name for name in names if name in curves),
        constant=next((name for name in curves if models[name]["module"] == "constant"), None),
        published=published,
    )


# --- structure against scale ----------------------------------------------------------------------


def spectra(scores: Scores) -> Figure:
    """Power, correlation with the observed CO, correlation with dust, and ratio of power against l,
    to the first band beyond the beam, with 68 % bands.
    """
    first = scores.first
    ell = first.l.values
    beam = first.attrs["beam_arcmin"], first.attrs["beam_cut"]
    bands = slice(int((first.beam.values > first.attrs["beam_cut"]).sum()) + 1)
    ell = ell[bands]
    dust = DUST.label
    if scores.constant:
        dust += f" (= {scores.looks[scores.constant].label})"
    with plotting.style():
        size = (plotting.PAGE, 5.6)
        figure, ((power, rho), (copied, ratio)) = plt.subplots(2, 2, figsize=size, sharex=True)

        def draw(ax, bracket: np.ndarray, look: Look, **more) -> None:
            line = look.line(marker=look.marker, markersize=4, **more)
            # power spans decades from tile to tile, which all maps share: one band is enough
            alpha = 0 if ax is power and look is not OBSERVED else 0.15
            plotting.band(ax, ell, bracket[..., bands], line, alpha)

        draw(power, scores.reference("cl_target"), OBSERVED, zorder=3)
        null = scores.reference("cl_null")[0, bands]
        power.plot(ell, null, **NOISE.line())
        draw(rho, scores.reference("rho_l", of="dust"), DUST, zorder=1)
        draw(copied, scores.reference("rho_l", of="dust"), OBSERVED, zorder=3)
        for name in scores.shown:
            look = scores.looks[name]
            for ax, curve in zip((power, rho, copied, ratio), SPECTRA, strict=True):
                draw(ax, scores.mean(name, curve, of="model"), look)
            if name in scores.stochastic:
                sample = {"linestyle": (0, (1, 1)), "label": f"{look.label}, one realisation"}
                for ax, curve in ((power, "cl"), (ratio, "cl_ratio")):
                    draw(ax, scores.mean(name, curve, of="sample"), look, **sample)
        for ax, curve, look in ((rho, "rho_l", CEILING), (ratio, "cl_ratio", TRUTH)):
            ax.plot(ell, scores.reference(curve, of="ceiling")[0, bands], **look.line())
        _published_curves(rho, scores, first.attrs["line"], ell)
        _published_curves(copied, scores, f"predicted {first.attrs['line']}", ell)
        for ax in (power, rho, copied, ratio):
            _beyond_beam(ax, *beam, label=ax is rho)
            ax.set_xlim(ell[0] - 40, ell[-1] + 40)
        rho.lines[0].set_label(dust)
        power.set(yscale="log", ylabel=rf"$C_\ell$ [{POWER_UNIT}]")
        rho.set_ylabel(r"$\rho_\ell$ with observed CO")
        copied.set_ylabel(r"$\rho_\ell$ with dust")
        ratio.set(yscale="log", ylabel=r"$C_\ell$ predicted / $C_\ell$ observed")
        ratio.axhline(1, color="0.7", linewidth=0.6, zorder=0)
        plotting.plain_decades(ratio.yaxis)
        for ax in (copied, ratio):
            ax.set_xlabel(r"multipole $\ell$")
        for ax in (rho, copied):
            ax.set_ylim(min(0, ax.get_ylim()[0]), 1.03)
        power.set_title(scores.title, loc="left")
        plotting.legend_above(figure, power, rho, copied, ratio, columns=3)
    return figure


def spectra_full(scores: Scores) -> Figure:
    """rho_l and C_l ratio of all models in all bands; well beyond the beam they measure what leaks
    through the tiles' window from larger scales.
    """
    first = scores.first
    ell = first.l.values
    beam = first.attrs["beam_arcmin"], first.attrs["beam_cut"]
    with plotting.style():
        size = (plotting.PAGE, 6.6)
        figure, (rho, ratio) = plt.subplots(2, 1, figsize=size, sharex=True, height_ratios=(3, 2))
        plotting.band(rho, ell, scores.reference("rho_l", of="dust"), DUST.line(zorder=1))
        for name in scores.curves:
            look = scores.looks[name]
            line = look.line(marker=look.marker, markersize=3.5)
            alpha = 0.15 if name in scores.shown else 0
            for ax, curve in ((rho, "rho_l"), (ratio, "cl_ratio")):
                plotting.band(ax, ell, scores.mean(name, curve, of="model"), line, alpha)
            if name in scores.stochastic:
                more = {"linestyle": (0, (1, 1)), "label": f"{look.label}, one realisation"}
                values = scores.mean(name, "cl_ratio", of="sample")
                plotting.band(ratio, ell, values, line | more, alpha)
        for ax, curve, look in ((rho, "rho_l", CEILING), (ratio, "cl_ratio", TRUTH)):
            ax.plot(ell, scores.reference(curve, of="ceiling")[0], **look.line())
            _beyond_beam(ax, *beam, label=ax is rho)
        _published_curves(rho, scores, first.attrs["line"], ell)
        rho.axhline(0, color="0.7", linewidth=0.6, zorder=0)
        ratio.axhline(1, color="0.7", linewidth=0.6, zorder=0)
        rho.set(ylabel=r"$\rho_\ell$ with observed CO", ylim=(min(-0.1, rho.get_ylim()[0]), 1.03))
        rho.set_title(scores.title, loc="left")
        ratio.set(ylabel=r"$C_\ell$ predicted / $C_\ell$ observed", yscale="log")
        ratio.set(xlabel=r"multipole $\ell$", xlim=(ell[0] - 60, ell[-1] + 60))
        low, high = ratio.get_ylim()
        ratio.set_ylim(max(low, 1e-3), min(high, 1e2))
        plotting.plain_decades(ratio.yaxis)
        plotting.legend_above(figure, rho, ratio, columns=3)
    return figure


def _beyond_beam(ax, fwhm_arcmin: float, cut: float, label: bool) -> None:
    """Hatch the multipoles where B_l^2 is below `cut`."""
    edge = np.sqrt(-np.log(cut)) / (np.radians(fwhm_arcmin / 60) * gaussian_fwhm_to_sigma)
    look = {"facecolor": "none", "edgecolor": "0.85", "hatch": "////", "linewidth": 0}
    ax.axvspan(edge, 1e5, zorder=-1, **look)
    if label:
        text = {"fontsize": 7, "color": "0.35", "transform": ax.get_xaxis_transform()}
        text["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        ax.text(edge + 12, 0.03, rf"$B_\ell^2$ < {cut:g}", **text)


def _published_curves(ax, scores: Scores, line: str, ell: np.ndarray) -> None:
    """Published rho_l with the map `line`, as open points with the error of reading them; measured
    on other data than the lines.
    """
    published = scores.published["curves"]
    l_known = np.array(published["l"])
    near = np.abs(l_known[:, None] - ell).min(1) < 10
    for curve in published["rho_l"]:
        if curve["with"] != line or curve["beside"] == "hi":  # N(HI) is at 0 for all l
            continue
        predicted = line.startswith("predicted")  # by the published network
        names = scores.published["network"] if predicted else published_models(curve)
        look = _published_look(names, scores)
        values = np.array(curve["values"])[near]
        style = look.points(markerfacecolor="white", elinewidth=0.8, zorder=4)
        style["label"] = f"{look.label}, published ({published['measured_on']})"
        ax.errorbar(l_known[near], values, MISREAD, **style)


def _published_look(names: list[str], scores: Scores) -> Look:
    """The look of the first of these models that was run; of dust; grey where none was run."""
    if "dust" in names:
        return DUST
    drawn = [scores.looks[name] for name in names if name in scores.curves]
    return drawn[0] if drawn else Look(scores.published["label"], "0.4")


# --- correlation against power: one point a model -------------------------------------------------


def plane(scores: Scores) -> Figure:
    """rho_l against C_l ratio, both means over the bands within the beam, one point a model with
    its interval.

    Dust has another unit and so no ratio: a line. A stochastic model is a filled point (its mean)
    joined to an open one (one realisation).
    """
    first = scores.first
    names = ("rho_l_beam", "cl_ratio_beam")
    with plotting.style():
        figure, ax = plt.subplots(figsize=(plotting.PAGE, 3.8))
        ax.set(xlabel=r"$\rho_\ell$ with observed CO, mean within the beam", yscale="log")
        ax.set(ylabel=r"$C_\ell$ predicted / observed, mean within the beam")
        labels, obstacles = [], []
        for model in scores.curves:
            look = scores.looks[model]
            outputs = ["model"] + ["sample"] * (model in scores.stochastic)
            points = [[scores.mean(model, name, of=of) for name in names] for of in outputs]
            for (x, y), of in zip(points, outputs, strict=True):
                face = "white" if of == "sample" else look.colour
                style = look.points(markerfacecolor=face, markersize=6, elinewidth=0.8, zorder=3)
                obstacles += _cross(ax, x, y, style)
                labels.append((x[0], y[0], "one realisation" if of == "sample" else look.label))
            ends = np.array([[axis[0] for axis in point] for point in points]).T
            ax.plot(*ends, color=look.colour, linewidth=1, linestyle=":", zorder=2)
        dust, lo, hi = scores.reference("rho_l_beam", of="dust")
        ax.axvline(dust, color=DUST.colour, linewidth=DUST.width, zorder=1)
        ax.axvspan(lo, hi, color=DUST.colour, alpha=0.15, linewidth=0)
        truth = [float(first[name].sel(of="ceiling")) for name in names]
        ax.plot(*truth, **TRUTH.points(markersize=9))
        labels.append((*truth, "noise-free truth"))
        for x, y, label, look in _published_scalars(scores):
            style = look.points(markerfacecolor="white", markersize=6, elinewidth=0.8, zorder=3)
            misread = np.array([x, x - MISREAD, x + MISREAD])
            obstacles += _cross(ax, misread, np.full(3, y), style)
            labels.append((x, y, label))
        ax.axhline(1, color="0.7", linewidth=0.6, zorder=0)
        ax.set_title(scores.title, loc="left")
        ax.margins(x=0.06, y=0.12)
        plotting.plain_decades(ax.yaxis)
        low, high = ax.get_ylim()
        obstacles += [((dust, low), (dust, high)), ((-1, 1), (2, 1))]
        where = {"transform": ax.get_xaxis_transform(), "rotation": 90, "color": "0.35"}
        ax.text(dust, 0.99, f"{DUST.label} ", ha="right", va="top", **where)
        better = {"color": "0.35", "style": "italic", "va": "bottom"}
        ax.annotate(
            r"better $\longrightarrow$", (0.02, 1), **better, xycoords=ax.get_yaxis_transform()
        )
        plotting.label_points(ax, labels, obstacles)
    return figure


def _cross(ax, x: np.ndarray, y: np.ndarray, style: dict) -> list[tuple]:
    """Draw a point with both error bars, of (3,) values and ends; returns the ends of its bars."""
    x_arms, y_arms = (plotting.arms(values)[:, None] for values in (x, y))
    ax.errorbar(x[0], y[0], y_arms, x_arms, **style)
    (left, right), (low, high) = x[0] + x_arms[:, 0] * (-1, 1), y[0] + y_arms[:, 0] * (-1, 1)
    return [((left, y[0]), (right, y[0])), ((x[0], low), (x[0], high))]


def _published_scalars(scores: Scores) -> list[tuple]:
    """Published rho_l and C_l ratio of this set's line, label and look of each model that has
    both.
    """
    line = scores.first.attrs["line"]
    entries = [entry for entry in scores.published["scalars"] if entry["with"] == line]
    points = []
    for x in entries:
        for y in entries:
            metrics = x["metric"], y["metric"]
            if metrics == ("rho_l_beam", "cl_ratio_beam") and x["beside"] == y["beside"]:
                look = _published_look(published_models(x), scores)
                label = f"{look.label}, published ({x['measured_on']})"
                points.append((x["value"], y["value"], label, look))
    return points


# --- morphology and distribution ------------------------------------------------------------------


def minkowski(scores: Scores) -> Figure:
    """Minkowski functionals of the observed CO against threshold, means over tiles; below them the
    differences of dust and models to it, with 68 % bands of the mean.
    """
    first = scores.first
    u = first.threshold.values
    with plotting.style():
        size = (plotting.PAGE, 4.4)
        figure, axes = plt.subplots(2, 3, figsize=size, sharex=True)
        for (above, below), (name, label) in zip(axes.T, FUNCTIONALS.items(), strict=True):
            mean, sigma = (first[name + end].sel(field="target").values for end in ("", "_sigma"))
            bracket = (mean, mean - sigma, mean + sigma)
            plotting.band(above, u, bracket, OBSERVED.line(zorder=3), alpha=0.1)
            curves = [(DUST, scores.reference(f"{name}_difference", field="dust"))]
            for model in scores.shown:
                field = scores.field(model)
                values = scores.mean(model, f"{name}_difference", field=field)
                curves.append((scores.looks[model], values))
            for look, difference in curves:
                above.plot(u, mean + difference[0], **look.line())
                plotting.band(below, u, difference, look.line())
            above.set_ylabel(label)
            below.axhline(0, **OBSERVED.line(zorder=1, label=None))
            below.set(xlabel=r"threshold [$\sigma$ of the tile]", ylabel="predicted $-$ observed")
        axes[0, 0].set_title(scores.title, loc="left")
        plotting.legend_above(figure, axes[0, 0], columns=5)
    return figure


def pdf(scores: Scores) -> Figure:
    """Histograms of W, observed and predicted (of a stochastic model one realisation), and the
    ratio of the two.

    The null map is added to predictions, since the observed map has noise.
    """
    names = dict.fromkeys([*scores.shown, *[scores.constant] * bool(scores.constant)])
    w, real = _merged(scores.first.w.values, scores.reference("pdf", field="target"))
    filled = real[0] > 0
    with plotting.style():
        size = (plotting.PAGE, 4.8)
        figure, (ax, ratio) = plt.subplots(2, 1, figsize=size, sharex=True, height_ratios=(3, 2))
        plotting.band(ax, w, _positive(real), OBSERVED.line(zorder=3))
        reach = real[0]
        for model in names:
            look = scores.looks[model]
            _, values = _merged(
                scores.first.w.values, scores.mean(model, "pdf", field=scores.field(model))
            )
            plotting.band(ax, w, _positive(values), look.line(), alpha=0.1)
            ratios = _positive(values[:, filled] / real[0, filled])
            plotting.band(ratio, w[filled], ratios, look.line(), alpha=0.1)
            reach = np.maximum(reach, values[0])
        lo, hi = real[1:, filled] / real[0, filled]
        ratio.fill_between(w[filled], lo, hi, color="black", alpha=0.12, linewidth=0)
        ratio.axhline(1, **OBSERVED.line(zorder=1))
        w = w[reach > 0]
        ax.set_xscale("asinh", linear_width=1)
        ax.set(xlim=(w.min(), w.max()), yscale="log")
        ax.set_ylabel(r"probability density [(K km s$^{-1}$)$^{-1}$]")
        ax.set_ylim(real[0, filled].min() / 3, reach.max() * 2)
        ax.set_title(scores.title, loc="left")
        ratio.set(xlabel=f"$W$(CO) [{CO_UNIT}]", ylabel="predicted / observed", yscale="log")
        ratio.set_ylim(0.15, 7)
        plotting.plain_numbers(ratio.yaxis, (0.2, 0.5, 1, 2, 5))
        ticks = (-1, 0, 1, 3, 10, 30, 100, 300, 1000)
        plotting.plain_numbers(ratio.xaxis, [t for t in ticks if w.min() <= t <= w.max()])
        plotting.legend_above(figure, ax, columns=5)
    return figure


def _merged(w: np.ndarray, density: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres and densities (3, bins) of MERGED neighbouring bins together; of their intervals the
    mean, a bound from above.
    """
    count = len(w) // MERGED * MERGED
    width = np.gradient(w)[:count].reshape(-1, MERGED)
    share = width / width.sum(1, keepdims=True)
    parts = density[:, :count].reshape(3, -1, MERGED)
    return (w[:count].reshape(-1, MERGED) * share).sum(1), (parts * share).sum(2)


def _positive(bracket: np.ndarray) -> np.ndarray:
    return np.where(bracket > 0, bracket, np.nan)


# --- residual against latitude, calibration -------------------------------------------------------


def latitude(scores: Scores) -> Figure:
    """Rms residual over the noise, and bias over the rms of the observed CO, against |b|: all test
    tiles outside held-out complexes.

    The noise is the rms of the null map, which is interpolated as the observed map is: a residual
    lies below it by chance alone.
    """
    first = scores.first
    filled = np.flatnonzero(np.isfinite(first.latitude_signal.values))
    edges = first.latitude_edges.values
    bins = [f"{edges[k]:g}\N{EN DASH}{edges[k + 1]:g}" for k in filled]
    place = np.arange(len(filled))
    noise, signal = (first[f"latitude_{name}"].values[filled] for name in ("noise", "signal"))
    with plotting.style():
        size = (plotting.PAGE, 3.2)
        figure, (rms, bias) = plt.subplots(1, 2, figsize=size)
        rms.plot(
            place,
            signal / noise,
            **OBSERVED.points(marker="_", markersize=16, label="observed CO itself"),
        )
        for k, model in enumerate(scores.shown):
            x = place + 0.18 * (k - (len(scores.shown) - 1) / 2)
            for ax, name, unit in ((rms, "rms", noise), (bias, "bias", signal)):
                values = scores.mean(model, f"latitude_{name}")[:, filled] / unit
                style = scores.looks[model].points(elinewidth=1, markersize=4)
                ax.errorbar(x, values[0], plotting.arms(values), **style)
        rms.axhline(1, **NOISE.line())
        bias.axhline(0, color="0.7", linewidth=0.6, zorder=0)
        rms.set(yscale="log", ylabel="rms residual / noise")
        plotting.plain_decades(rms.yaxis)
        bias.set_ylabel("bias / rms of observed CO")
        for ax in (rms, bias):
            ax.set_xlabel("Galactic latitude $|b|$ [deg]")
            ax.set_xticks(place, bins, rotation=40, ha="right", rotation_mode="anchor")
        title = f"{scores.line}, all test tiles outside held-out complexes"
        rms.set_title(title, loc="left")
        plotting.legend_above(figure, rms, columns=5)
    return figure


def calibration(scores: Scores) -> Figure:
    """Share of observed pixels within central intervals of the prediction against the share that
    the model states.
    """
    stated = [model for model in scores.curves if "coverage" in scores.curves[model][0]]
    with plotting.style():
        figure, ax = plt.subplots(figsize=(plotting.COLUMN, 3.55 + 0.14 * len(stated)))
        ax.plot([0, 1], [0, 1], color="0.35", linewidth=0.8, zorder=1)
        for model in stated:
            level = scores.curves[model][0].level.values
            values = scores.mean(model, "coverage")
            look = scores.looks[model]
            nominal = np.interp(NOMINAL, level, values[0])
            label = f"{look.label}: {100 * nominal:.0f} %"
            plotting.band(ax, level, values, look.line(label=label))
            ax.plot(NOMINAL, nominal, **look.points(label=None))
        if stated:
            ax.axvline(NOMINAL, color="0.8", linewidth=0.6, zorder=0)
        corner = {"transform": ax.transAxes, "color": "0.35", "style": "italic"}
        ax.text(0.03, 0.97, "uncertainty too large", va="top", **corner)
        ax.text(0.97, 0.03, "uncertainty too small", ha="right", **corner)
        if not stated:
            text = "no model of this set\nstates an uncertainty"
            ax.text(0.5, 0.5, text, ha="center", va="center", color="0.35")
        ax.set(xlabel="stated share of the central interval")
        ax.set(ylabel="share of observed pixels inside it")
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        ax.set_title(scores.title, loc="left")
        if stated:
            title = "observed pixels inside the stated 68 % interval"
            plotting.legend_above(figure, ax, columns=1, title=title)
    return figure
