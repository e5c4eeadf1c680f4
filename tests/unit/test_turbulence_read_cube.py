"""Cubes of density in HDF5 and FITS: units, axes, box, and what is refused."""

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
SETTINGS = {"mu": 2.33, "temperature_k": 10.0}


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
    assert cube.facts["mach"] == pytest.approx(
        rms / 0.18817, rel=1e-4
    )  # sqrt(k T / mu m_H) at 10 K, mu 2.33
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
    np.testing.assert_allclose(
        cube.gas.density, DENSITY, rtol=1e-4
    )  # digits of the solar mass above


def test_number_density_counts_particles_of_the_mean_mass(tmp_path):
    cube = read_one(write_hdf5(tmp_path / "a.h5", DENSITY / (2.33 * 1.67353284e-24), "cm-3"))
    np.testing.assert_allclose(
        cube.gas.density, DENSITY, rtol=1e-4
    )  # proton and electron; the mean atom has deuterium


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
        file.attrs["box"] = np.bytes_("10 pc")
    np.testing.assert_array_equal(read_one(path, density="gas/rho").gas.density, DENSITY)
    with pytest.raises(BadInput, match="density not found .cubes: gas/rho."):
        read_one(path)


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
            r"density \(density\) is in 'K'; expected a unit that converts to g cm-3",
        ),
        ({"unit": "blob"}, {}, "is in 'blob'"),
        ({"unit": None}, {}, "density .* has no unit"),
        ({"box": None}, {}, "box is 'not stated'; expected number and unit, as '10 pc'"),
        ({"box": "10"}, {}, "box has no unit"),
        ({"box": "10 K"}, {}, "box is in 'K'; expected a unit that converts to pc"),
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
        ({}, {"mass_msun": 2e4}, "mass_msun is .*; expected 20000"),
        ({}, {"axes": "zxy"}, "axes is 'zxy' in the config"),
        ({}, {"velocity": ["velocity_x"]}, "expected three"),
        ({"density": DENSITY[:4]}, {}, r"has shape \(4, 8, 8\); expected a cube"),
        ({"density": -DENSITY}, {}, f"density of {N**3} of {N**3} cells is negative"),
        ({"density": DENSITY * np.nan}, {}, "is not finite"),
        ({"density": DENSITY * 0}, {}, "density of all .* cells is 0"),
        ({"velocity": VELOCITY * np.nan}, {}, "velocity_x has shape .* or NaN"),
    ],
)
def test_hdf5_cube_that_cannot_be_is_refused(tmp_path, written, settings, message):
    with pytest.raises(BadInput, match=message):
        read_one(write_hdf5(tmp_path / "a.h5", **written), **settings)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"unit": "K"}, "is in 'K'"),
        ({"step_unit": None}, "box is 'not stated'"),
        ({"CUNIT3": "m/s"}, "expected the same for all three"),  # a cube of velocity channels
        ({"step_unit": "deg"}, "box is in 'deg'"),
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
        "simulations": None,
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


def test_config_must_know_as_many_simulations_as_there_are_files(tmp_path):
    path = write_hdf5(tmp_path / "a.h5")
    config = SETTINGS | {"source": "cube", "simulations": [{}, {}]}
    with pytest.raises(BadInput, match="2 entries; expected 1, one for each input"):
        next(turbulence_read_outputs.simulations([path], config))
    with pytest.raises(BadInput, match="unknown .'slope'.; expected"):
        next(turbulence_read_outputs.simulations([path], config | {"simulations": [{"slope": 4}]}))


def test_genuine_map_is_not_taken_for_a_cube(realdata):
    with pytest.raises(BadInput, match="density not found .cubes: none."):
        read_one(realdata / "turbulence" / "mhd_dust_maps" / "I_1.fits")
