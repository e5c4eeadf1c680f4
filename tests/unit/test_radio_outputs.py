"""Outputs of ENZO and yt: units, axes, what is refused, and maps that no slab changes."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from conftest import REPOSITORY
from test_radio_shocks import MACH, SHAPE, fields, jump

from skyloom.cli import BadInput
from skyloom.radio.simulate import maps, outputs, shocks

TABLE = """#  Mach 1.0e-02 1.0e+00 1.0e+02
1.5 1e-20 1e-10 1e-5
3.0 1e-4 1e-2 1e-1
100 0.5 0.5 0.5
"""
# 1e-4 electrons per cm3 at a density of 1, fields of some uG
DENSITY = 1e-4 * shocks.ELECTRONS * shocks.PROTON_G
VELOCITY = 1e-6 / np.sqrt(4 * np.pi * DENSITY)
KPC_CM = 3.0857e21
BLOB = 4, 7, 11  # cell of the densest gas along x, y, z
YT_NAMES = {"Density": "density", "Temperature": "temperature"}
YT_NAMES |= {f"{a}-velocity": f"velocity_{a}" for a in "xyz"}
YT_NAMES |= {f"B{a}": f"magnetic_field_{a}" for a in "xyz"}
YT_UNITS = {"density": "g/cm**3", "temperature": "K", "velocity": "cm/s", "magnetic": "\u03bcG"}
# unit_registry_json of yt 4.4: value in m, kg, s and K, dimensions, and three more
GAUSS = "sqrt((mass))/(sqrt((length))*(time))"
REGISTRY = {
    "m": [1.0, "(length)"],
    "g": [1e-3, "(mass)"],
    "s": [1.0, "(time)"],
    "K": [1.0, "(temperature)"],
    "G": [0.1**0.5, GAUSS],
    "T": [1.0, "(mass)/((current_mks)*(time)**2)"],
    "code_length": [KPC_CM * 10, "(length)"],  # 1 Mpc
    "code_mass": [2e39, "(mass)"],
    "code_time": [1e13, "(time)"],
    "code_velocity": [VELOCITY / 100, "(length)/(time)"],
    "code_density": [DENSITY * 1e3, "(mass)/(length)**3"],
    "code_temperature": [1.0, "(temperature)"],
    "code_magnetic": [0.1**0.5 * 1e-6, GAUSS],
}


def gas() -> dict[str, np.ndarray]:
    """The planar shock, and a cell of dense gas that no axis or mirror leaves in its place."""
    parts = fields()
    parts["Density"][BLOB[::-1]] = 1000.0
    return parts


def write_yt(path: Path, units: dict = YT_UNITS, group: str = "grid", **attributes) -> str:
    """The same gas as yt 4.4 writes it: `ds.covering_grid(...).save_as_dataset(...)`."""
    # values of the code where the unit is one of the code
    factors = {"g/cm**3": DENSITY, "cm/s": VELOCITY}
    with h5py.File(path, "w") as file:
        for name, values in gas().items():
            name = YT_NAMES[name]
            unit = units.get(name) or units[name.partition("_")[0]]
            dataset = file.create_dataset(
                f"{group}/{name}", data=values.transpose() * factors.get(unit, 1.0)
            )
            dataset.attrs["units"] = unit
        for axis in "xyz":
            file[f"{group}/d{axis}"] = np.full(SHAPE[::-1], 0.05)
            file[f"{group}/d{axis}"].attrs["units"] = "code_length"
        known = {"cosmological_simulation": np.int64(1), "current_redshift": 0.2}
        known |= {"data_type": "yt_data_container", "container_type": "covering_grid"}
        known |= {"unit_registry_json": json.dumps(REGISTRY), "level": np.int64(0)}
        file.attrs.update(known | attributes)
    return str(path)


@pytest.fixture
def enzo(tmp_path) -> dict:
    with h5py.File(tmp_path / "full.h5", "w") as file:
        for name, values in gas().items():
            file[name] = values
    (tmp_path / "full.conv2").write_text(f"1 2 0.2 {DENSITY} {VELOCITY}\n")
    (tmp_path / "psi.txt").write_text(TABLE)
    settings = {"files": dict.fromkeys(outputs.SPELLINGS, str(tmp_path / "full.h5"))}
    settings |= {"axis": "z", "frequency_mhz": 1400.0, "psi_table": str(tmp_path / "psi.txt")}
    settings |= {"efficiency": 0.05, "least_efficiency": 0.0, "least_mach": 2.0}
    settings |= {"conversion": str(tmp_path / "full.conv2"), "redshift": None, "cell_kpc": 50.0}
    return settings | {"exponents": {"density": 0, "velocity": 0, "magnetic": 0}}


@pytest.fixture
def yt_export(enzo, tmp_path) -> dict:
    return of_yt(enzo, write_yt(tmp_path / "grid.h5"))


def of_yt(settings: dict, path: str) -> dict:
    """Settings for a file that states its units."""
    nothing = dict.fromkeys(("conversion", "exponents", "cell_kpc"))
    return settings | nothing | {"files": dict.fromkeys(outputs.SPELLINGS, path)}


def test_power_is_that_of_hoeft_and_brueggen(enzo):
    """psi is 0.01 at Mach 3 and 1 keV, and 0.1 at 100 keV."""
    found = outputs.project(enzo)
    kev = 2e7 * jump(MACH) / shocks.KELVIN_PER_KEV
    psi = 10 ** (-2 + np.log10(kev) / 2)
    s = 2 * (MACH**2 + 1) / (MACH**2 - 1)
    field = np.sqrt(5.0)
    expected = 6.4e34 * 0.05**2 * 3.0 * psi * (kev / 7) ** 1.5
    expected *= field ** (1 + s / 2) / (3.2**2 * 1.2**4 + field**2)
    assert found.redshift == pytest.approx(0.2) and found.power.shape == (12, 16)
    np.testing.assert_allclose(found.power[2:-2, 2:-2], expected, rtol=1e-6)


@pytest.mark.parametrize("axis", ["z", "y", "x"])
@pytest.mark.parametrize("layout", ["enzo", "yt_export"])
def test_slabs_change_nothing(layout, axis, request):
    settings = request.getfixturevalue(layout) | {"axis": axis}
    whole = outputs.project(settings, slab=100)
    assert whole.power.sum() > 0
    for slab in (1, 3, 9, 10):
        found = outputs.project(settings, slab=slab)
        np.testing.assert_allclose(found.power, whole.power, rtol=1e-12)
        np.testing.assert_allclose(found.column, whole.column, rtol=1e-12)


@pytest.mark.parametrize("axis", ["z", "y", "x"])
@pytest.mark.parametrize("layout", ["enzo", "yt_export"])
def test_column_is_the_mass_along_the_axis_and_the_blob_is_where_it_was(layout, axis, request):
    found = outputs.project(request.getfixturevalue(layout) | {"axis": axis})
    place = dict(zip("xyz", BLOB, strict=True))
    pixel = tuple(place[other] for other in "zyx" if other != axis)
    assert np.unravel_index(found.column.argmax(), found.column.shape) == pixel
    expected = gas()["Density"].sum("zyx".index(axis)) * DENSITY * 50 * KPC_CM
    np.testing.assert_allclose(found.column, expected, rtol=1e-4)


@pytest.mark.parametrize("axis", ["z", "y", "x"])
def test_yt_export_has_the_maps_of_the_same_gas_of_enzo(enzo, yt_export, axis):
    one, other = (outputs.project(s | {"axis": axis}) for s in (enzo, yt_export))
    np.testing.assert_allclose(other.power, one.power, rtol=1e-4)
    assert (other.cell_kpc, other.redshift) == pytest.approx((50, 0.2), rel=1e-4)


@pytest.mark.parametrize(
    "units",
    [
        dict.fromkeys(("velocity",), "code_velocity") | {"density": "code_density"},
        YT_UNITS | {"velocity": "code_velocity", "magnetic": "code_magnetic"},
    ],
)
def test_code_units_are_those_of_the_registry_of_the_file(yt_export, tmp_path, units):
    path = write_yt(tmp_path / "code.h5", YT_UNITS | units)
    one, other = outputs.project(yt_export), outputs.project(of_yt(yt_export, path))
    np.testing.assert_allclose(other.power, one.power, rtol=1e-6)
    np.testing.assert_allclose(other.column, one.column, rtol=1e-6)


def test_other_spellings_of_yt_are_read(yt_export, tmp_path):
    """Of `yt.save_as_dataset`, of `write_hdf5` at the root, and a name of two words."""
    expected = outputs.project(yt_export).power
    path = write_yt(tmp_path / "data.h5", group="data", data_type="yt_array_data")
    np.testing.assert_array_equal(outputs.project(of_yt(yt_export, path)).power, expected)
    with h5py.File(tmp_path / "grid.h5", "a") as file:
        file.move("grid/density", 'grid/("gas", "density")')
    np.testing.assert_array_equal(outputs.project(yt_export).power, expected)
    with h5py.File(tmp_path / "root.h5", "w") as file, h5py.File(tmp_path / "grid.h5") as source:
        for name in source["grid"]:
            source.copy(f"grid/{name}", file)
            file[name].attrs["unit_registry"] = np.void(b"pickled")
        file.move('("gas", "density")', "density")
    stated = of_yt(yt_export, str(tmp_path / "root.h5")) | {"cell_kpc": 50.0, "redshift": 0.2}
    np.testing.assert_allclose(outputs.project(stated).power, expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("edges", "cell"),
    [
        ({"left_edge": [0.0, 0, 0], "right_edge": [0.8, 0.6, 1.0], "right_edge_units": "Mpc"}, 50),
        (
            {
                "domain_left_edge": [0.0, 0, 0],
                "domain_right_edge": [1.6, 1.2, 2.0],
                "domain_right_edge_units": "code_length",
                "domain_dimensions": SHAPE[::-1],
            },
            100,
        ),
    ],
)
def test_side_of_a_cell_is_that_of_the_edges(yt_export, tmp_path, edges, cell):
    edges = {k: v if isinstance(v, str) else np.array(v) for k, v in edges.items()}
    write_yt(tmp_path / "grid.h5", ActiveDimensions=np.array(SHAPE[::-1]), **edges)
    with h5py.File(tmp_path / "grid.h5", "a") as file:
        for axis in "xyz":
            del file[f"grid/d{axis}"]
    assert outputs.project(yt_export).cell_kpc == pytest.approx(cell, rel=1e-4)


def test_exponents_are_those_stated(enzo):
    plain = outputs.project(enzo).power
    enzo["exponents"]["density"] = 3
    dense = outputs.project(enzo).power
    np.testing.assert_allclose(dense[5, 5] / plain[5, 5], 1.2**3)


def test_broken_outputs_are_refused_by_file(enzo, tmp_path):
    with h5py.File(enzo["files"]["density"], "a") as file:
        del file["By"]
    message = r"full.h5: no dataset magnetic_field_y or By \(files.magnetic\); found Bx, Bz, "
    with pytest.raises(BadInput, match=message):
        outputs.project(enzo)
    (tmp_path / "page.h5").write_text("<html>")
    page = dict.fromkeys(outputs.SPELLINGS, str(tmp_path / "page.h5"))
    with pytest.raises(BadInput, match="page.h5: cannot be opened as HDF5"):
        outputs.project(enzo | {"files": page})
    (tmp_path / "short.conv2").write_text("1 2 3")
    with pytest.raises(BadInput, match="3 numbers; expected five"):
        outputs.project(enzo | {"conversion": str(tmp_path / "short.conv2")})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("redshift", 0.5, r"grid.h5: current_redshift: 1 \+ z = 1.2; redshift of the config: 1"),
        ("cell_kpc", 20.0, r"cell_kpc of the config: side of a cell \[kpc\] = 20; .*grid.h5: side"),
        ("conversion", "0 0 0.2 1e-20 1e5", r"grid/density: unit .* = 1; .*own.conv2, exponents"),
        ("conversion", "0 0 0.3 1 1", "grid.h5: current_redshift: .*own.conv2: redshift: 1"),
        ("conversion", "0 0 nan 1 1", r"1 \+ z = nan; expected equal numbers above 0"),
    ],
)
def test_statement_that_differs_from_the_file_is_refused(yt_export, tmp_path, key, value, message):
    if key == "conversion":
        (tmp_path / "own.conv2").write_text(value)
        exponents = dict.fromkeys(("density", "velocity", "magnetic"), 0)
        own = {key: str(tmp_path / "own.conv2"), "exponents": exponents}
    else:
        own = {key: value}
    with pytest.raises(BadInput, match=message):
        outputs.project(yt_export | own)


def test_units_and_conversion_that_agree_are_both_taken(enzo, yt_export, tmp_path):
    code = {name: f"code_{name}" for name in ("density", "velocity", "magnetic")}
    path = write_yt(tmp_path / "code.h5", YT_UNITS | code)
    own = of_yt(yt_export, path) | {k: enzo[k] for k in ("conversion", "exponents")}
    found = outputs.project(own).power
    np.testing.assert_allclose(found, outputs.project(yt_export).power, rtol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"density": "cm**-3"}, r"/grid/density: units are 'cm\*\*-3' .*a unit of density, as g"),
        ({"density": "dimensionless"}, "/grid/density: units are 'dimensionless' "),
        ({"temperature": "keV"}, "/grid/temperature: units are 'keV' "),
        ({"velocity": "furlong"}, "/grid/velocity_x: units are 'furlong' "),
        ({"velocity_y": "code_speed"}, "/grid/velocity_y: units are 'code_speed' "),
    ],
)
def test_unit_of_another_quantity_is_refused(yt_export, tmp_path, change, message):
    path = write_yt(tmp_path / "units.h5", YT_UNITS | change)
    with pytest.raises(BadInput, match=f"units.h5: {message}"):
        outputs.project(of_yt(yt_export, path))


def test_file_that_states_too_little_is_refused(enzo, yt_export, tmp_path):
    path = write_yt(tmp_path / "own.h5", cosmological_simulation=0, current_redshift=0.0)
    with pytest.raises(BadInput, match="own.h5: no redshift .*; state redshift"):
        outputs.project(of_yt(yt_export, path))
    stated = of_yt(yt_export, path) | {"redshift": 0.2}
    np.testing.assert_array_equal(outputs.project(stated).power, outputs.project(yt_export).power)
    with h5py.File(path, "a") as file:
        del file.attrs["unit_registry_json"]
    with pytest.raises(BadInput, match="own.h5: no side of a cell in a known unit; state cell_kpc"):
        outputs.project(stated)
    without = enzo | {"conversion": None, "exponents": None, "redshift": 0.2}
    with pytest.raises(BadInput, match="/Density: no attribute units; state conversion"):
        outputs.project(without)


def test_fields_of_other_shapes_axes_or_values_are_refused(enzo, yt_export, tmp_path):
    files = enzo["files"] | {"temperature": str(tmp_path / "grid.h5")}
    with pytest.raises(BadInput, match=r"grid.h5: /grid/temperature has shape .* of axes xyz; exp"):
        outputs.project(enzo | {"files": files})
    with h5py.File(tmp_path / "grid.h5", "a") as file:
        file["grid/dy"][...] = 0.1
    with pytest.raises(BadInput, match="grid.h5: cells of 50 x 100 x 50 kpc; expected cubes"):
        outputs.project(yt_export)
    write_yt(tmp_path / "grid.h5")
    with h5py.File(tmp_path / "grid.h5", "a") as file:
        file["grid/temperature"][3, 3, 3] = 0
        file["grid/velocity_x"][3, 3, 3] = np.nan
    with pytest.raises(BadInput, match="1 values of /grid/temperature are impossible"):
        outputs.project(yt_export)
    with h5py.File(tmp_path / "grid.h5", "a") as file:
        file["grid/temperature"][3, 3, 3] = 1e7
    with pytest.raises(BadInput, match="1 values of /grid/velocity_x are impossible"):
        outputs.project(yt_export)


def test_job_writes_power_and_density_that_a_field_reads(yt_export, tmp_path):
    path = tmp_path / "power_box3.fits"
    script = REPOSITORY / "scripts/radio_project_power.py"
    words = [script, "--config", json.dumps(yt_export | {"axis": "x"}), "--output", path]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with fits.open(path) as hdus:
        assert (hdus[0].header["BUNIT"], hdus["DENSITY"].header["BUNIT"]) == ("erg/s/Hz", "g/cm2")
    found = maps.read_map(str(path), None, None, None, str(path))
    assert found.pixel_kpc == pytest.approx(50, rel=1e-4)
    assert found.peaks.pixels[found.peaks.weights.argmax()].tolist() == [BLOB[2], BLOB[1]]


def test_export_that_yt_itself_writes_is_read(yt_export, tmp_path):
    yt = pytest.importorskip("yt", reason="yt is not installed; Skyloom does not need it")
    yt.set_log_level(50)
    with h5py.File(yt_export["files"]["density"]) as file:
        parts = {YT_NAMES[name]: file[f"grid/{YT_NAMES[name]}"] for name in YT_NAMES}
        data = {name: (part[...], part.attrs["units"]) for name, part in parts.items()}
    edges = np.array([[0.0, 0.05 * n] for n in SHAPE[::-1]])
    ds = yt.load_uniform_grid(data, SHAPE[::-1], length_unit="Mpc", bbox=edges)
    grids = {
        "covering": ds.covering_grid(0, ds.domain_left_edge, ds.domain_dimensions),
        "arbitrary": ds.arbitrary_grid(
            ds.domain_left_edge, ds.domain_right_edge, dims=ds.domain_dimensions
        ),
    }
    expected = outputs.project(yt_export)
    for kind, grid in grids.items():
        for group in ("gas", "stream"):
            path = str(tmp_path / f"{kind}_{group}.h5")
            grid.save_as_dataset(path, fields=[(group, name) for name in data])
            found = outputs.project(of_yt(yt_export, path) | {"redshift": 0.2})
            np.testing.assert_allclose(found.column, expected.column, rtol=1e-4)
            np.testing.assert_allclose(found.power, expected.power, rtol=1e-4)
