"""Cubes of density in HDF5 and FITS: units, axes, box, and what is refused."""

import gzip
import json
import sys

import h5py
import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

import turbulence_read_outputs
from skyloom.cli import BadInput
from skyloom.turbulence.physics import sound_speed_kms, temperature_k
from skyloom.turbulence.read.sources import read

N = 8
DENSITY = np.random.default_rng(0).uniform(0.5, 2.0, (N, N, N)) * 6.77e-22  # z, y, x
VELOCITY = np.random.default_rng(1).standard_normal((3, N, N, N))
SETTINGS = {"mu": 2.33, "temperature_k": 10.0, "axes": "zyx"}


def write_hdf5(path, density=DENSITY, unit="g cm-3", velocity=VELOCITY, box="10 pc", **attributes):
    with h5py.File(path, "w") as file:
        file["density"] = density
        if unit:
            file["density"].attrs["units"] = unit
        for name, component in zip("xyz", velocity if velocity is not None else (), strict=False):
            file[f"velocity_{name}"] = component
            file[f"velocity_{name}"].attrs["units"] = "km/s"
        if box:
            file.attrs["box"] = box
        file.attrs.update(attributes)
    return path


def write_fits(path, density=DENSITY, unit="g cm-3", step=1.25, step_unit="pc", **cards):
    header = (
        {f"CDELT{k}": step for k in (1, 2, 3)}
        | {f"CUNIT{k}": step_unit for k in (1, 2, 3)}
        | {"BUNIT": unit}
    )
    hdu = fits.PrimaryHDU(density.astype(np.float32))
    hdu.header.update({key: value for key, value in (header | cards).items() if value})
    hdu.writeto(path)
    return path


def read_one(path, **settings):
    (simulation,) = read("cube", path, SETTINGS | settings)
    return simulation


def test_hdf5_cube_with_velocity_box_and_time(tmp_path):
    cube = read_one(write_hdf5(tmp_path / "a.h5", time="0.5 Myr"), box_pc=10.0)
    np.testing.assert_array_equal(cube.gas.density, DENSITY)
    np.testing.assert_array_equal(cube.gas.velocity, VELOCITY)
    assert (cube.box_pc, cube.facts["time_myr"]) == (
        10.0,
        0.5,
    ) and cube.mean_density == DENSITY.mean()
    rms = np.sqrt(sum(component.var() for component in VELOCITY))
    # sqrt(k T / mu m_H) at 10 K, mu 2.33
    assert cube.facts["mach"] == pytest.approx(rms / 0.18817, rel=1e-4)
    assert (cube.source, cube.data_kind) == ("cube", "user-simulation")


def test_fits_cube_whose_box_is_cdelt_times_naxis(tmp_path):
    cube = read_one(
        write_fits(tmp_path / "a.fits", step=-1.25e-3, step_unit="kpc", SKYKIND="simulated")
    )
    np.testing.assert_allclose(cube.gas.density, DENSITY, rtol=1e-7)  # float32
    assert cube.box_pc == pytest.approx(10.0, rel=1e-12) and cube.data_kind == "simulated"
    assert cube.gas.velocity is None and cube.remarks == ("no velocity: centroids are NaN",)


@pytest.mark.parametrize(
    ("unit", "scale"), [("kg m-3", 1e-3), ("Msun / pc3", 6.7679e-23), ("6.77e-22 g cm-3", 6.77e-22)]
)
def test_density_in_other_units_is_converted(tmp_path, unit, scale):
    cube = read_one(write_hdf5(tmp_path / "a.h5", DENSITY / scale, unit))
    # digits of the solar mass above
    np.testing.assert_allclose(cube.gas.density, DENSITY, rtol=1e-4)


def test_number_density_counts_particles_of_the_mean_mass(tmp_path):
    cube = read_one(write_hdf5(tmp_path / "a.h5", DENSITY / (2.33 * 1.67353284e-24), "cm-3"))
    # proton and electron; the mean atom has deuterium
    np.testing.assert_allclose(cube.gas.density, DENSITY, rtol=1e-4)


def test_axes_in_the_order_x_y_z_are_turned(tmp_path):
    path = write_hdf5(tmp_path / "a.h5", DENSITY.T, velocity=[v.T for v in VELOCITY])
    cube = read_one(path, axes="xyz")
    np.testing.assert_array_equal(cube.gas.density, DENSITY)
    np.testing.assert_array_equal(cube.gas.velocity, VELOCITY)


def test_units_that_the_file_does_not_state_can_be_given(tmp_path):
    path = write_hdf5(tmp_path / "a.h5", DENSITY / 6.77e-22, unit=None, box=None)
    cube = read_one(path, assume={"density": "6.77e-22 g cm-3", "box": "1e4 mpc"})
    np.testing.assert_allclose(cube.gas.density, DENSITY, rtol=1e-12)
    assert cube.box_pc == pytest.approx(10.0)


def test_named_data_sets_within_groups(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["gas/rho"] = DENSITY
        file["gas/rho"].attrs["unit"] = np.bytes_("g cm-3")
        file["link"] = h5py.SoftLink("/gas/rho")
        file["nowhere"] = h5py.SoftLink("/gas/none")
        file.attrs["box"] = np.bytes_("10 pc")
    for name in ("gas/rho", "rho", "RHO", "link"):
        np.testing.assert_array_equal(read_one(path, density=name).gas.density, DENSITY)
    with pytest.raises(BadInput, match="density not found .cubes: .*gas/rho"):
        read_one(path)
    with h5py.File(path, "a") as file:
        file["dust/rho"] = DENSITY
    with pytest.raises(BadInput, match="rho is in dust/rho, gas/rho; expected one, named in the"):
        read_one(path, density="rho")


# --- the order of the axes -----------------------------------------------------------------------


def write_grid(path, order, coordinates):
    """A cube and velocity whose indices are in this order, with or without coordinates."""
    turned = [order.index(axis) for axis in "zyx"]
    turn = np.argsort(turned)
    z, y, x = np.indices(DENSITY.shape)
    with h5py.File(path, "w") as file:
        arrays = {"density": DENSITY, **dict(zip(VELOCITY_NAMES, VELOCITY, strict=True))}
        if coordinates == "cells":
            arrays |= {"x": x, "y": y, "z": z}
        for name, values in arrays.items():
            file[f"grid/{name}"] = values.transpose(turn)
            file[f"grid/{name}"].attrs["units"] = "km/s" if "velocity" in name else "g cm-3"
        for axis, name in enumerate(order if coordinates == "dimensions" else ""):
            file["grid/density"].dims[axis].label = name
        file.attrs["box"] = "10 pc"
    return path


VELOCITY_NAMES = [f"velocity_{axis}" for axis in "xyz"]


@pytest.mark.parametrize("coordinates", ["cells", "dimensions"])
@pytest.mark.parametrize("order", ["xyz", "zyx", "yzx"])
def test_order_of_the_axes_is_that_of_the_coordinates_in_the_file(tmp_path, order, coordinates):
    """A covering grid of yt has coordinates of each cell, a netCDF file names of dimensions."""
    path = write_grid(tmp_path / "a.h5", order, coordinates)
    cube = read_one(path, axes=None)
    np.testing.assert_array_equal(cube.gas.density, DENSITY)
    np.testing.assert_array_equal(cube.gas.velocity, VELOCITY)
    if order == "xyz":
        with pytest.raises(BadInput, match="axes is zyx in the config; expected xyz, by coordin"):
            read_one(path, axes="zyx")


def test_order_of_the_axes_of_a_velocity_must_be_known(tmp_path):
    path = write_hdf5(tmp_path / "a.h5")
    with pytest.raises(BadInput, match=r"expected axes: zyx .* or xyz \(.* as of yt\) in the conf"):
        read_one(path, axes=None)
    cube = read_one(write_hdf5(tmp_path / "b.h5", velocity=None), axes=None)
    assert "order of the axes not stated: taken for zyx" in cube.remarks


def test_axes_of_fits_are_those_of_the_standard_or_of_their_names(tmp_path):
    plain = read_one(write_fits(tmp_path / "a.fits"), axes=None)
    names = {f"CTYPE{k}": name for k, name in enumerate("ZYX", 1)}
    turned = read_one(write_fits(tmp_path / "b.fits", DENSITY.T, **names), axes=None)
    np.testing.assert_array_equal(plain.gas.density, turned.gas.density)
    assert "order of the axes not stated: taken for zyx" in plain.remarks


# --- formats -------------------------------------------------------------------------------------

ASSUMED = {"density": "g cm-3", "velocity": "km/s", "box": "10 pc"}


def test_numpy_cubes_are_read_with_assumed_units(tmp_path):
    np.save(tmp_path / "a.npy", np.asfortranarray(DENSITY))
    cube = read_one(tmp_path / "a.npy", assume=ASSUMED)
    np.testing.assert_array_equal(cube.gas.density, DENSITY)
    assert "density has no unit: assume.density holds, g cm-3" in cube.remarks
    arrays = {"density": DENSITY, **dict(zip(VELOCITY_NAMES, VELOCITY, strict=True))}
    np.savez_compressed(tmp_path / "b.npz", **arrays, box="20 pc", time="1 Myr")
    cube = read_one(tmp_path / "b.npz", assume=ASSUMED)
    np.testing.assert_array_equal(cube.gas.velocity, VELOCITY)
    assert (cube.box_pc, cube.facts["time_myr"]) == (20.0, 1.0)


def test_format_is_known_by_the_first_bytes_and_not_by_the_name(tmp_path):
    write_fits(tmp_path / "a.fits").rename(tmp_path / "dens_t500.h5")
    np.testing.assert_allclose(read_one(tmp_path / "dens_t500.h5").gas.density, DENSITY, rtol=1e-7)
    (tmp_path / "b.h5").write_bytes(gzip.compress((tmp_path / "dens_t500.h5").read_bytes()))
    np.testing.assert_allclose(read_one(tmp_path / "b.h5").gas.density, DENSITY, rtol=1e-7)
    write_hdf5(tmp_path / "c.h5").rename(tmp_path / "mhd512li.Density")
    np.testing.assert_array_equal(read_one(tmp_path / "mhd512li.Density").gas.density, DENSITY)


@pytest.mark.parametrize(
    "cards",
    [
        {f"CD{k}_{k}": 1.25 for k in (1, 2, 3)},
        {f"PC{k}_{k}": 1.25 for k in (1, 2, 3)} | {f"CDELT{k}": 1.0 for k in (1, 2, 3)},
        {f"CDELT{k}": 1.25 * (1 + k * 1e-9) for k in (1, 2, 3)},
    ],
)
def test_cells_of_fits_are_those_of_any_matrix_and_equal_but_for_rounding(tmp_path, cards):
    cube = read_one(write_fits(tmp_path / "a.fits", step=None, **cards))
    assert cube.box_pc == pytest.approx(10.0, rel=1e-8)


def test_error_cube_of_fits_is_not_taken_for_the_density(tmp_path):
    hdus = [fits.ImageHDU(DENSITY * 9, name="ERROR"), fits.ImageHDU(DENSITY, name="RHO")]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "a.fits")
    cube = read_one(tmp_path / "a.fits", assume=ASSUMED)
    np.testing.assert_array_equal(cube.gas.density, DENSITY)


@pytest.mark.parametrize(
    "cards",
    [
        {"CTYPE1": "GLON-CAR", "CTYPE2": "GLAT-CAR", "CTYPE3": "VELO-LSR", "CUNIT3": "m/s"},
        {"CTYPE3": "FREQ", "CUNIT3": "Hz"},
        {"CUNIT3": "km/s"},
    ],
)
def test_cube_of_position_and_velocity_is_refused_with_the_way_out(tmp_path, cards):
    message = "a cube of position and velocity; .*: integrate it over velocity, and .* source: maps"
    with pytest.raises(BadInput, match=message):
        read_one(write_fits(tmp_path / "a.fits", step_unit=None, **cards))


CODES = {
    "Athena++": ({"prim": (5, 8, 8, 8, 8)}, {"RootGridSize": [16, 16, 16]}, "prim"),
    "FLASH": ({"dens": (8, 8, 8, 8), "refine level": (8,)}, {}, "dens"),
    "Enzo": ({"Grid00000001/Density": (8,) * 3, "Grid00000002/Density": (8,) * 3}, {}, None),
    "GADGET, GIZMO or AREPO": ({"PartType0/Density": (4096,)}, {}, None),
}


@pytest.mark.parametrize("code", CODES)
def test_blocks_and_particles_are_named_with_the_way_out(tmp_path, code):
    shapes, attributes, density = CODES[code]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, shape in shapes.items():
            file[name] = np.ones(shape)
        file.attrs.update(attributes)
    message = rf"\({code.replace('+', '.')} writes no uniform grid: write a covering grid of yt"
    for name in {density, None}:
        with pytest.raises(BadInput, match=message):
            read_one(tmp_path / "a.h5", density=name)


@pytest.mark.parametrize(
    "content", [b"# vtk DataFile Version 3.0\nBINARY\n", bytes(range(64)), b""]
)
def test_format_that_is_not_read_is_refused_with_the_way_out(tmp_path, content):
    (tmp_path / "turb.0010.vtk").write_bytes(content)
    with pytest.raises(BadInput, match="begins with .*write a covering grid of yt: .*, or a .npz"):
        read_one(tmp_path / "turb.0010.vtk")


# --- units that a config assumes -----------------------------------------------------------------


@pytest.mark.parametrize("unit", ["code_mass/code_length**3", "dimensionless", "", "1.0", "K"])
def test_assumed_density_holds_where_the_unit_of_the_file_does_not_convert(tmp_path, unit):
    path = write_hdf5(tmp_path / "a.h5", DENSITY / 6.77e-22, unit)
    cube = read_one(path, assume={"density": "6.77e-22 g cm-3"})
    np.testing.assert_allclose(cube.gas.density, DENSITY, rtol=1e-12)
    stated = f"density is in '{unit}'" if unit else "density has no unit"
    assert cube.remarks == (f"{stated}: assume.density holds, 6.77e-22 g cm-3",)


@pytest.mark.parametrize(
    ("unit", "scale"),
    [
        ("g/cc", 1),
        ("gm/cm^3", 1),
        (np.array(["g/cm**3"], h5py.string_dtype()), 1),
        (np.array([b"g/cm**3"]), 1),
        ("amu/cm**3", 1.66053907e-24),
        ("mp/cc", 1.67262192e-24),
        ("H2/cm3", 2 * 1.4 * 1.67353284e-24),  # with helium
    ],
)
def test_spellings_of_the_unit_of_density(tmp_path, unit, scale):
    path = tmp_path / "a.h5"
    write_hdf5(path, DENSITY / scale, "x")
    with h5py.File(path, "a") as file:
        file["density"].attrs["units"] = unit
    np.testing.assert_allclose(read_one(path).gas.density, DENSITY, rtol=2e-5)


def test_logarithm_is_never_taken_for_a_density(tmp_path):
    path = write_hdf5(tmp_path / "a.h5", -np.log10(DENSITY), "log10(g/cm^3)")
    with pytest.raises(BadInput, match="density is a logarithm, .*write 10..x"):
        read_one(path, assume={"density": "g cm-3"})


@pytest.mark.parametrize(
    ("box", "assumed", "box_pc"),
    [
        (10.0, "pc", 10),  # a bare number in the file, and its unit
        (10.0, "20 pc", 20),
        (np.array([10.0, 10.0, 10.0]), "pc", 10),
        (np.array([b"10 pc"]), None, 10),
        ("10pc", None, 10),
        ("10 code_length", "2e19 cm", 6.4816),
        ("10 pc", "20 pc", 10),  # the file holds where it states one
    ],
)
def test_box_is_that_of_the_file_or_assumed(tmp_path, box, assumed, box_pc):
    path = write_hdf5(tmp_path / "a.h5", box=None)
    with h5py.File(path, "a") as file:
        file.attrs["box"] = box
    cube = read_one(path, assume={"box": assumed} if assumed else {})
    assert cube.box_pc == pytest.approx(box_pc, rel=1e-4)


def test_time_without_a_unit_is_assumed_or_refused(tmp_path):
    path = write_hdf5(tmp_path / "a.h5", time=0.5)
    assert read_one(path, assume={"time": "Myr"}).facts["time_myr"] == 0.5
    with pytest.raises(BadInput, match="time is '0.5'; .* as '10 Myr', or assume.time in the conf"):
        read_one(path)
    with pytest.raises(BadInput, match=r"as '10 Myr' \(assume.time is 'days of work'\)"):
        read_one(path, assume={"time": "days of work"})


def test_sound_speed_and_temperature_are_those_of_the_study():
    """0.188 km/s at 10 K with mu 2.33, and 0.287 km/s with the mu of 1 that RAMSES takes by
    default.
    """
    assert sound_speed_kms(10, 2.33) == pytest.approx(0.188, abs=5e-4)
    assert sound_speed_kms(10, 1.0) == pytest.approx(0.287, abs=5e-4)
    assert temperature_k(sound_speed_kms(12.5, 2.0), 2.0) == pytest.approx(12.5, rel=1e-12)


@pytest.mark.parametrize(
    ("written", "settings", "message"),
    [
        (
            {"unit": "K"},
            {},
            "density is in 'K'; expected a unit that converts to g cm-3, or assume.density",
        ),
        ({"unit": "blob"}, {}, "is in 'blob'"),
        ({"unit": None}, {}, "density has no unit"),
        ({"box": None}, {}, "box is not stated; expected number and unit, as '10 pc', or assume.b"),
        ({"box": "10"}, {}, "box is '10'; expected number and unit"),
        ({"box": "10 K"}, {}, "box is '10 K'; expected number and unit, as '10 pc'"),
        ({"box": "nan pc"}, {"box_pc": 10.0}, "box_pc is nan; expected a number above 0"),
        ({"box": "nan pc"}, {}, "box_pc is nan; expected a number above 0"),
        (
            {"box": "10 kpc"},
            {"box_pc": 10.0},
            r"box_pc is 10000; expected 10, .* \(pc taken for kpc\?\)",
        ),
        (
            {"box": "10 cm"},
            {"box_pc": 10.0},
            r"box_pc is .*; expected 10, .* \(pc taken for cm\?\)",
        ),
        ({}, {"mass_msun": 2e4}, "mass_msun is .*; expected 20000, .*mass_msun: null takes any"),
        ({}, {"axes": "zxy"}, "axes is 'zxy' in the config"),
        ({}, {"velocity": ["velocity_x"]}, "expected three"),
        ({"density": DENSITY[:4]}, {}, r"has shape \(4, 8, 8\); expected a cube"),
        ({"density": -DENSITY}, {}, f"density of {N**3} of {N**3} cells is negative"),
        ({"density": DENSITY * np.nan}, {}, "is not finite"),
        ({"density": DENSITY * 0}, {}, "density of all .* cells is 0"),
        ({"velocity": VELOCITY * np.nan}, {}, "velocity of 1536 of 1536 values is not finite"),
    ],
)
def test_hdf5_cube_that_cannot_be_is_refused(tmp_path, written, settings, message):
    with pytest.raises(BadInput, match=message):
        read_one(write_hdf5(tmp_path / "a.h5", **written), **settings)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"unit": "K"}, "is in 'K'"),
        ({"step_unit": None}, "box is '10.0'; expected number and unit, as '10 pc', or assume.box"),
        ({"step_unit": "deg"}, "box is '10.0 deg'"),
        ({"CUNIT3": "kpc"}, "sides of a cell are 1.25 pc, 1.25 pc, 1.25 kpc; expected cubes"),
        ({"CDELT2": 1.26}, "sides of a cell are 1.25 pc, 1.26 pc, 1.25 pc; expected cubes"),
    ],
)
def test_fits_cube_that_cannot_be_is_refused(tmp_path, written, message):
    with pytest.raises(BadInput, match=message):
        read_one(write_fits(tmp_path / "a.fits", **written))


@pytest.mark.parametrize("suffix", ["h5", "fits"])
def test_file_cut_short_is_refused(tmp_path, suffix):
    whole = {"h5": write_hdf5, "fits": write_fits}[suffix](tmp_path / f"a.{suffix}").read_bytes()
    for size in (0, 100, 3000, 4000):
        path = tmp_path / f"b.{suffix}"
        path.write_bytes(whole[:size])
        with pytest.raises(BadInput, match="cut short"):
            read_one(path)
    with pytest.raises(BadInput, match="no such file"):
        read_one(tmp_path / f"none.{suffix}")


def test_cubes_become_a_file_of_column_maps(tmp_path, monkeypatch):
    paths = [write_hdf5(tmp_path / "a.h5"), write_hdf5(tmp_path / "b.h5", velocity=None)]
    config = SETTINGS | {
        "source": "cube",
        "pixels": None,
        "refine": None,
        "outputs": None,
        "box_pc": 10.0,
    }
    arguments = [
        "--config",
        json.dumps(config),
        "--inputs",
        *map(str, paths),
        "--output",
        str(tmp_path / "c.nc"),
    ]
    monkeypatch.setattr(sys, "argv", ["turbulence_read_outputs.py", *arguments])
    turbulence_read_outputs.main()
    with xr.open_dataset(tmp_path / "c.nc") as maps:
        np.testing.assert_allclose(
            maps.column[0, 0], DENSITY.mean(axis=2) / DENSITY.mean() - 1, atol=1e-6
        )
        centroid = (DENSITY * VELOCITY[1]).mean(axis=1) / DENSITY.mean(axis=1)
        np.testing.assert_allclose(maps.centroid[0, 1], centroid, atol=1e-6)
        assert np.isnan(maps.centroid[1]).all() and json.loads(maps.attrs["remarks"]).keys() == {
            "b.h5"
        }
        assert (
            maps.attrs["temperature_k"] == 10.0
            and np.isnan(maps["index"]).all()
            and (maps.seed == -1).all()
        )


def test_genuine_map_is_not_taken_for_a_cube(realdata):
    message = r"images of shape \(512, 512\); expected a cube .*source: maps"
    with pytest.raises(BadInput, match=message):
        read_one(realdata / "turbulence" / "mhd_dust_maps" / "I_1.fits")
