"""The CO study's figures of scores, each of one set, drawn from the curves.nc of its models
(docs/architecture.md).

Colour and line stand for a model in all of them. Where a run has many models, those that the config
highlights are drawn in colour and the others in thin grey; a dashed line is a baseline.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from astropy.stats import gaussian_fwhm_to_sigma
from matplotlib.figure import Figure

from skyloom import plotting
from skyloom.cli import BadInput
from skyloom.co.figures import require
from skyloom.scores.comparison import published_models
from skyloom.scores.forecasts import NOMINAL

SHOWN = 8  # models in colour where the config does not say which
REAL = {"color": "black", "linewidth": 2.2}


@dataclass(frozen=True)
class Scores:
    """What the models of one set scored: `curves`, model -> its seeds' curves.nc, at one subset of
    the test tiles.
    """

    curves: dict[str, list[xr.Dataset]]
    subset: str
    highlight: tuple[str, ...]

    @property
    def first(self) -> xr.Dataset:
        return next(iter(self.curves.values()))[0]

    @property
    def title(self) -> str:
        line = self.first.attrs["line"].replace("J=", "")
        tiles = f"test tiles, {self.subset.replace('_', ' ')} (n = {int(self.first.n_tiles)})"
        return f"{line}, set {self.first.attrs['set']}: {tiles}" if line else tiles.capitalize()

    def kind(self, model: str) -> str:
        return self.curves[model][0].attrs["kind"]

    def mean(self, model: str, name: str, **where) -> np.ndarray:
        """(3, ...): value and 68 % interval of a curve, the mean over seeds."""
        seeds = self.curves[model]
        return np.array(
            [
                np.mean([s[name + end].sel(where).values for s in seeds], 0)
                for end in ("", "_lo", "_hi")
            ]
        )

    def styles(self) -> dict[str, dict]:
        """Colour, line and legend label of each model, highlighted ones last so that they lie on
        top.
        """
        colours = plotting.line_styles(self.highlight)
        looks = {model: dict(plotting.GREY) for model in self.curves if model not in self.highlight}
        for k, look in enumerate(looks.values()):
            look["label"] = "other models" if k == 0 else None
        for model in self.highlight:
            looks[model] = colours[model] | {
                "zorder": 3,
                "label": f"{model.replace('_', ' ')} ({self.kind(model)})",
            }
            if self.kind(model) != "network":
                looks[model] |= {"linestyle": (0, (4, 2)), "linewidth": 1.2}
        return looks


def read(paths: Sequence[Path], config: dict) -> Scores:
    """The curves of one set's models.

    config : `subset`; `highlight`, names of models (those that were not run are passed over), or
        None for the first.
    Errors: BadInput where a file has no curves, another set, or not this subset.
    """
    curves = {}
    for path in paths:
        with xr.open_dataset(path) as file:
            require(file, ("rho_l", "cl_ratio", "pdf", "latitude_bias"), path)
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
    wanted = config.get("highlight")
    highlight = [model for model in curves if wanted is None or model in wanted]
    return Scores(curves, config["subset"], tuple(highlight[:SHOWN]))


# --- structure against scale
# -----------------------------------------------------------------------------------------


def spectra(scores: Scores, published: dict | None) -> Figure:
    """rho_l and C_l ratio with the truth against l, with 68 % bands; dust, the noise ceiling,
    published points beside.

    published : `curves` of published.yaml; of them those of this set's line are drawn.
    """
    first, styles = scores.first, scores.styles()
    ell = first.l.values
    with plotting.style():
        figure, (rho, ratio) = plt.subplots(
            2, 1, figsize=(8, 7.5), sharex=True, height_ratios=(3, 2)
        )
        for model, look in styles.items():
            for ax, name in ((rho, "rho_l"), (ratio, "cl_ratio")):
                plotting.band(ax, ell, scores.mean(model, name, of="model"), look)
        for model in (name for name in scores.highlight if name in _stochastic(scores)):
            values = scores.mean(model, "cl_ratio", of="sample")
            plotting.band(
                ratio,
                ell,
                values,
                styles[model]
                | {"linestyle": ":", "label": f"{model.replace('_', ' ')}, one sample"},
            )
        plotting.band(
            rho,
            ell,
            scores.mean(next(iter(scores.curves)), "rho_l", of="dust"),
            REAL | {"label": "raw dust map"},
        )
        for ax, name, text in (
            (rho, "rho_l", r"noise ceiling $\sqrt{S/(S+N)}$"),
            (ratio, "cl_ratio", r"noise-free truth $S/(S+N)$"),
        ):
            ax.plot(
                ell,
                first[name].sel(of="ceiling"),
                color="0.45",
                linewidth=1.5,
                linestyle=":",
                label=text,
            )
            _beam_cut(ax, first.attrs["beam_arcmin"], first.attrs["beam_cut"], ell)
        _published_points(rho, published, styles, first.attrs["line"])
        rho.axhline(0, color="0.7", linewidth=0.6, zorder=0)
        ratio.axhline(1, color="0.7", linewidth=0.6, zorder=0)
        rho.set(ylabel=r"$\rho_\ell$ with observed CO", ylim=(min(-0.1, rho.get_ylim()[0]), 1.03))
        rho.set_title(
            f"{scores.title}\nmedian over tiles, 68 % of a bootstrap over blocks", loc="left"
        )
        ratio.set(
            ylabel=r"$C_\ell$ predicted / $C_\ell$ observed",
            xlabel=r"multipole $\ell$",
            yscale="log",
        )
        ratio.set_xlim(ell[0] - 60, ell[-1] + 60)
        low, high = ratio.get_ylim()
        ratio.set_ylim(max(low, 1e-3), min(high, 1e2))
        _label_decades(ratio)
        plotting.legend_beside(figure, rho, ratio)
    return figure


def _beam_cut(ax, fwhm_arcmin: float, cut: float, ell: np.ndarray) -> None:
    """Shade the multipoles where B_l^2 is below `cut`."""
    edge = np.sqrt(-np.log(cut)) / (np.radians(fwhm_arcmin / 60) * gaussian_fwhm_to_sigma)
    ax.axvspan(edge, ell[-1] + 200, color="0.93", zorder=-1, linewidth=0)
    ax.text(
        edge + 12,
        0.02,
        rf"$B_\ell^2$ < {cut:g}",
        transform=ax.get_xaxis_transform(),
        fontsize=7,
        color="0.35",
    )


def _published_points(ax, published: dict | None, styles: dict, line: str) -> None:
    """Published rho_l of dust and of models with this line, as open markers: measured on other data
    than the lines.
    """
    markers = iter("sDv^")
    for curve in published["rho_l"] if published else ():
        names = published_models(curve)
        if curve["with"] != line or "hi" in names:  # HI's is zero at all l
            continue
        look = {
            "marker": next(markers),
            "linestyle": "none",
            "markerfacecolor": "none",
            "markersize": 6,
        }
        look["label"] = f"{names[0].replace('_', ' ')}, published ({published['measured_on']})"
        ax.plot(published["l"], curve["values"], color=_colour_beside(names, styles), **look)


def _colour_beside(names: list[str], styles: dict) -> str:
    """The colour of the first of these models that was run; black for dust, grey where none was."""
    drawn = [styles[name]["color"] for name in names if name in styles]
    return "black" if "dust" in names else (drawn or ["0.4"])[0]


# --- correlation against power: one point a model
# --------------------------------------------------------------------


def plane(scores: Scores, published: list[dict]) -> Figure:
    """rho_l against C_l ratio, both means over the bands within the beam, one point a model with
    its interval.

    Dust has another unit and so no ratio: a line. A stochastic model is a filled point (its mean)
    joined to an open one (one realisation). published : `scalars` of published.yaml.
    """
    first, styles = scores.first, scores.styles()
    with plotting.style():
        figure, ax = plt.subplots(figsize=(8, 5.2))
        for model, look in styles.items():
            points = {}
            for of in ("model", "sample"):
                if of in scores.curves[model][0]["of"].values:
                    points[of] = [
                        scores.mean(model, name, of=of) for name in ("rho_l_beam", "cl_ratio_beam")
                    ]
            marker = "o" if scores.kind(model) == "network" else "s"
            for of, (x, y) in points.items():
                face = {
                    "markerfacecolor": "white" if of == "sample" else look["color"],
                    "markersize": 6,
                }
                label = look["label"] if of == "model" else None
                style = {
                    "color": look["color"],
                    "elinewidth": 1,
                    "zorder": look["zorder"],
                    "label": label,
                }
                ax.errorbar(x[0], y[0], _arms(y), _arms(x), fmt=marker, **face, **style)
            if len(points) > 1:
                ends = np.array([[axis[0] for axis in point] for point in points.values()]).T
                ax.plot(
                    *ends, color=look["color"], linewidth=1, linestyle=":", zorder=look["zorder"]
                )
        dust = first.sel(of="dust")
        ax.axvline(dust.rho_l_beam, **REAL, label="raw dust map")
        ax.axvspan(dust.rho_l_beam_lo, dust.rho_l_beam_hi, color="black", alpha=0.12, linewidth=0)
        ceiling = first.sel(of="ceiling")
        ax.plot(
            ceiling.rho_l_beam,
            ceiling.cl_ratio_beam,
            "*",
            color="0.45",
            markersize=11,
            label="noise-free truth",
        )
        _published_point(ax, published, styles, first.attrs["line"])
        ax.axhline(1, color="0.7", linewidth=0.6, zorder=0)
        ax.set(xlabel=r"$\rho_\ell$ with observed CO, mean within the beam", yscale="log")
        ax.set(ylabel=r"$C_\ell$ predicted / $C_\ell$ observed, mean within the beam")
        _label_decades(ax)
        ax.set_title(f"{scores.title}", loc="left")
        if _stochastic(scores):
            ax.plot(
                [],
                [],
                "o",
                color="0.3",
                markerfacecolor="white",
                label="one sample of a stochastic model",
            )
        plotting.legend_beside(figure, ax)
    return figure


def _published_point(ax, published: list[dict], styles: dict, line: str) -> None:
    mine = [entry for entry in published if entry["with"] == line]
    for x in (entry for entry in mine if entry["metric"] == "rho_l_beam"):
        for y in (
            entry
            for entry in mine
            if entry["metric"] == "cl_ratio_beam" and entry["beside"] == x["beside"]
        ):
            names = published_models(x)
            look = {"marker": "D", "linestyle": "none", "markerfacecolor": "none", "markersize": 7}
            look["label"] = f"{names[0].replace('_', ' ')}, published ({x['measured_on']})"
            ax.plot(x["value"], y["value"], color=_colour_beside(names, styles), **look)


def _arms(bracket: np.ndarray) -> np.ndarray | None:
    """(2, 1) lengths of an error bar from value, lower and upper end; None without an interval."""
    return np.abs(bracket[1:] - bracket[0])[:, None] if np.isfinite(bracket).all() else None


# --- morphology and distribution
# -------------------------------------------------------------------------------------


def minkowski(scores: Scores) -> Figure:
    """V0, V1, V2 against threshold, means over tiles with +-1 sigma bands over tiles, of real CO,
    dust and the models.

    Of a stochastic model one realisation stands for it. Bands are drawn of the real CO and of the
    first two highlighted models: more would hide each other.
    """
    first, styles = scores.first, scores.styles()
    u = first.threshold.values
    names = {"v0": r"$V_0$", "v1": r"$V_1$ [deg$^{-1}$]", "v2": r"$V_2$ [deg$^{-2}$]"}
    with plotting.style():
        figure, axes = plt.subplots(1, 3, figsize=(10.5, 4.4))
        for ax, (name, label) in zip(axes, names.items(), strict=True):
            for model, look in styles.items():
                field = "sample" if model in _stochastic(scores) else "prediction"
                value, sigma = (
                    np.mean(
                        [seed[name + end].sel(field=field).values for seed in scores.curves[model]],
                        axis=0,
                    )
                    for end in ("", "_sigma")
                )
                banded = model in scores.highlight[:2]
                plotting.band(
                    ax, u, (value, value - sigma, value + sigma), look, alpha=0.15 if banded else 0
                )
            for field, look in (
                ("target", REAL | {"label": "observed CO"}),
                ("dust", REAL | {"linestyle": ":"}),
            ):
                look = {"label": "raw dust map"} | look | {"zorder": 4}
                value, sigma = (first[name + end].sel(field=field).values for end in ("", "_sigma"))
                plotting.band(
                    ax,
                    u,
                    (value, value - sigma, value + sigma),
                    look,
                    alpha=0.15 if field == "target" else 0,
                )
            ax.set(xlabel="threshold [standard deviations of the tile]", ylabel=label)
            ax.axhline(0, color="0.7", linewidth=0.6, zorder=0)
        axes[0].set_title(
            f"{scores.title}; mean over tiles, band: \N{PLUS-MINUS SIGN}1 standard deviation",
            loc="left",
        )
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def pdf(scores: Scores) -> Figure:
    """Histograms of W, observed and predicted (of a stochastic model one realisation), and the
    ratio of the two.
    """
    first, styles = scores.first, scores.styles()
    w, real = first.w.values, first.pdf.sel(field="target").values
    with plotting.style():
        figure, (ax, ratio) = plt.subplots(
            2, 1, figsize=(8, 6.8), sharex=True, height_ratios=(3, 2)
        )
        filled = real > 0
        for model, look in styles.items():
            field = "sample" if model in _stochastic(scores) else "prediction"
            value, lo, hi = scores.mean(model, "pdf", field=field)
            plotting.band(ax, w, (np.where(value > 0, value, np.nan), lo, hi), look)
            with np.errstate(divide="ignore", invalid="ignore"):
                plotting.band(
                    ratio, w[filled], np.array([value, lo, hi])[:, filled] / real[filled], look
                )
        lo, hi = (first[f"pdf{end}"].sel(field="target").values for end in ("_lo", "_hi"))
        plotting.band(
            ax,
            w,
            (np.where(real > 0, real, np.nan), lo, hi),
            REAL | {"label": "observed CO", "zorder": 2},
        )
        ratio.axhline(1, color="0.3", linewidth=0.8, zorder=2)
        known = (
            np.array([scores.mean(m, "pdf", field="prediction")[0] for m in scores.curves]).max(0)
            + real
            > 0
        )
        ax.set_xscale("asinh", linear_width=1)
        ax.set(
            xlim=(w[known].min(), w[known].max()),
            yscale="log",
            ylabel=r"probability density [(K km s$^{-1}$)$^{-1}$]",
        )
        ax.set_ylim(real[filled].min() / 3, real.max() * 3)
        ax.set_title(f"{scores.title}\nthe null map's noise added to predictions", loc="left")
        ratio.set(xlabel=r"$W$(CO) [K km s$^{-1}$]", ylabel="predicted / observed", ylim=(0, 2.5))
        ticks = [
            t
            for t in (-1, 0, 1, 3, 10, 30, 100, 300, 1000)
            if w[known].min() <= t <= w[known].max()
        ]
        ratio.set_xticks(ticks, [f"{t:g}".replace("-", "\N{MINUS SIGN}") for t in ticks])
        ratio.minorticks_off()
        plotting.legend_beside(figure, ax)
    return figure


# --- residual against latitude, calibration
# --------------------------------------------------------------------------


def latitude(scores: Scores) -> Figure:
    """Bias and rms of the residual against |b|, all test tiles outside held-out complexes; noise
    and signal beside.
    """
    first, styles = scores.first, scores.styles()
    edges = first.latitude_edges.values
    centres = (edges[1:] + edges[:-1]) / 2
    place = np.arange(
        len(centres)
    )  # bins of equal width on the page: the plane has most tiles and least latitude
    with plotting.style():
        figure, (bias, rms) = plt.subplots(2, 1, figsize=(8, 7), sharex=True)
        for model, look in styles.items():
            for ax, name in ((bias, "latitude_bias"), (rms, "latitude_rms")):
                plotting.band(
                    ax,
                    place,
                    scores.mean(model, name),
                    look,
                    alpha=0.15 if scores.kind(model) == "network" else 0,
                )
        rms.plot(
            place,
            first.latitude_noise,
            color="0.45",
            linestyle=":",
            linewidth=1.5,
            label="noise of the observed map",
        )
        rms.plot(place, first.latitude_signal, **REAL, label="observed CO (rms)")
        bias.axhline(0, color="0.3", linewidth=0.8, zorder=2)
        bias.set_yscale("symlog", linthresh=1)
        bias.set(ylabel=r"bias, predicted $-$ observed [K km s$^{-1}$]")
        bias.yaxis.set_major_formatter(lambda y, _: f"{y:g}".replace("-", "\N{MINUS SIGN}"))
        rms.set(
            ylabel=r"rms residual [K km s$^{-1}$]",
            yscale="log",
            xlabel=r"Galactic latitude $|b|$ [deg]",
        )
        rms.yaxis.set_major_formatter("{x:g}")
        names = [
            f"{low:g}\N{EN DASH}{high:g}" for low, high in zip(edges[:-1], edges[1:], strict=True)
        ]
        rms.set_xticks(place, names)
        line, name = first.attrs["line"].replace("J=", ""), first.attrs["set"]
        bias.set_title(f"{line}, set {name}: all test tiles outside held-out complexes", loc="left")
        plotting.legend_beside(figure, rms)
    return figure


def calibration(scores: Scores) -> Figure:
    """Share of observed pixels within central intervals of the prediction against the share that
    the model states.
    """
    stated = [model for model in scores.curves if "coverage" in scores.curves[model][0]]
    styles = scores.styles()
    with plotting.style():
        figure, ax = plt.subplots(figsize=(7.2, 5))
        ax.plot([0, 1], [0, 1], color="0.3", linewidth=0.8, label="calibrated")
        for model in (name for name in styles if name in stated):
            level = scores.curves[model][0].level.values
            plotting.band(ax, level, scores.mean(model, "coverage"), styles[model])
        if stated:
            ax.axvline(NOMINAL, color="0.8", linewidth=0.6, zorder=0)
        else:
            ax.text(
                0.97, 0.05, "no model of this set states an uncertainty", ha="right", color="0.4"
            )
        ax.set(
            xlabel="nominal coverage of the central interval",
            ylabel="share of observed pixels inside it",
        )
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        ax.set_title(scores.title, loc="left")
        plotting.legend_beside(figure, ax)
    return figure


# --- shared
# --------------------------------------------------------------------------------------------------


def _stochastic(scores: Scores) -> list[str]:
    """Models of which a realisation was scored."""
    return [model for model, seeds in scores.curves.items() if "sample" in seeds[0]["of"].values]


def _label_decades(ax) -> None:
    """Plain numbers on a logarithmic y axis; minor ticks have one only where the axis is shorter
    than a decade.
    """
    low, high = ax.get_ylim()
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter("{x:g}" if high / low < 10 else "")
    ax.tick_params(axis="y", which="minor", labelsize=7)
