"""The patch-set container, with xarray as the reference for writing and reading."""

import pickle

import netCDF4
import numpy as np
import pytest
import xarray as xr

from skyloom.cli import BadInput
from skyloom.patchset import PatchSet, merge, write


def patches(n: int = 12, seed: int = 0) -> xr.Dataset:
    draw = np.random.default_rng(seed)
    return xr.Dataset(
        {
            "dust": (
                ("example", "y", "x"),
                draw.normal(size=(n, 48, 48)).astype(np.float32),
                {"units": "MJy/sr"},
            ),
            "target": (
                ("example", "y", "x"),
                draw.normal(size=(n, 48, 48)).astype(np.float32),
                {"asinh_scale": 2.5},
            ),
            "split": (("example",), draw.integers(0, 3, n).astype(np.int8)),
            "complex": (("example",), np.array([f"cloud {k}" for k in range(n)], dtype=object)),
            "scale": (("l",), np.arange(5.0)),
        },
        {"glon": ("example", draw.uniform(0, 360, n))},
        {"data_kind": "simulated", "nside": 64},
    )


def test_written_set_opens_in_xarray_with_the_same_content(tmp_path):
    write(patches(), tmp_path / "p.nc")
    with xr.open_dataset(tmp_path / "p.nc") as read:
        xr.testing.assert_identical(read.load(), patches())


def test_arrays_are_page_aligned_maps_of_the_file_with_xarrays_values(tmp_path):
    write(patches(), tmp_path / "p.nc")
    opened = PatchSet(tmp_path / "p.nc")
    for name in ("dust", "target"):
        array = opened.array(name)
        assert isinstance(array, np.memmap) and array.offset % 4096 == 0 and array.flags.aligned
        np.testing.assert_array_equal(array, patches()[name])


def test_attributes_and_coordinates_come_as_plain_python_and_arrays(tmp_path):
    write(patches(), tmp_path / "p.nc")
    opened = PatchSet(tmp_path / "p.nc")
    assert len(opened) == 12
    assert (
        opened.attrs == {"data_kind": "simulated", "nside": 64}
        and type(opened.attrs["nside"]) is int
    )
    assert (
        opened.attrs_of("target")["asinh_scale"] == 2.5
        and opened.attrs_of("dust")["units"] == "MJy/sr"
    )
    assert set(opened.coords) == {"split", "complex", "glon"}
    np.testing.assert_array_equal(opened.coords["glon"], patches()["glon"])
    assert opened.coords["complex"][3] == "cloud 3"


def test_source_in_fits_byte_order_is_stored_in_native_order(tmp_path):
    values = np.arange(20.0, dtype=">f4").reshape(5, 4)
    write(
        xr.Dataset({"t": (("example", "x"), values)}, {"glon": ("example", values[:, 0])}),
        tmp_path / "p.nc",
    )
    assert PatchSet(tmp_path / "p.nc").array("t").dtype.isnative
    np.testing.assert_array_equal(PatchSet(tmp_path / "p.nc").array("t"), values)


@pytest.mark.parametrize(
    "encoding", [{"zlib": True}, {"chunksizes": (1, 48, 48)}, {"dtype": ">f4"}]
)
def test_chunked_compressed_or_foreign_arrays_are_read_with_the_same_values(tmp_path, encoding):
    patches().to_netcdf(tmp_path / "p.nc", encoding={"dust": encoding})
    array = PatchSet(tmp_path / "p.nc").array("dust")
    assert array.dtype.isnative
    np.testing.assert_array_equal(array, patches()["dust"])


def test_compressed_source_is_written_contiguous(tmp_path):
    patches().to_netcdf(
        tmp_path / "z.nc", encoding={"dust": {"zlib": True}}, unlimited_dims=["example"]
    )
    with xr.open_dataset(tmp_path / "z.nc") as source:
        write(source, tmp_path / "p.nc")
    assert isinstance(PatchSet(tmp_path / "p.nc").array("dust"), np.memmap)


def test_pickled_set_maps_again_instead_of_carrying_its_arrays(tmp_path):
    write(patches(), tmp_path / "p.nc")
    opened = PatchSet(tmp_path / "p.nc")
    opened.array("dust")
    text = pickle.dumps(opened)
    assert len(text) < 5000  # the array has 110 kB
    np.testing.assert_array_equal(pickle.loads(text).array("dust"), patches()["dust"])


def test_merged_shards_are_the_unsharded_set(tmp_path):
    whole = patches()
    edges = [(0, 5), (5, 6), (6, 12)]
    for k, (start, stop) in enumerate(edges):
        write(whole.isel(example=slice(start, stop)), tmp_path / f"{k}.nc")
    merge([tmp_path / f"{k}.nc" for k in range(3)], tmp_path / "p.nc")
    with xr.open_dataset(tmp_path / "p.nc") as read:
        xr.testing.assert_identical(read.load(), whole)
    array = PatchSet(tmp_path / "p.nc").array("target")
    assert isinstance(array, np.memmap) and array.offset % 4096 == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.nc", "1.nc", "2.nc", "p.nc"]


def test_files_open_after_a_write_in_the_same_process(tmp_path):
    """An alignment reset to its initial (0, 0) makes each later open of netCDF-C fail."""
    write(patches(), tmp_path / "p.nc")
    patches().to_netcdf(tmp_path / "other.nc", engine="netcdf4")
    with netCDF4.Dataset(tmp_path / "other.nc") as other:
        assert other["dust"].shape == (12, 48, 48)


def test_shard_with_other_variables_is_refused_by_name(tmp_path):
    write(patches(), tmp_path / "0.nc")
    write(patches().drop_vars("target"), tmp_path / "1.nc")
    with pytest.raises(
        BadInput, match=r"1\.nc: variable target is missing; expected .*float32.*as in .*0\.nc"
    ):
        merge([tmp_path / "0.nc", tmp_path / "1.nc"], tmp_path / "p.nc")
    assert not (tmp_path / "p.nc").exists()


def test_file_cut_short_is_refused_with_found_and_expected_bytes(tmp_path):
    path = tmp_path / "p.nc"
    write(patches(), path)
    size = path.stat().st_size
    for kept in (size - 1, size // 2):
        with open(path, "rb+") as file:
            file.truncate(kept)
        with pytest.raises(
            BadInput, match=rf"p\.nc: cut short, {kept} bytes found, {size} bytes expected"
        ):
            PatchSet(path)


def test_old_superblock_cut_short_is_refused_too(tmp_path):
    """`earliest` files of h5py (superblock 0) hold their end at another position."""
    import h5py

    path = tmp_path / "p.nc"
    with h5py.File(path, "w", libver="earliest") as file:
        file["dust"] = np.zeros((4, 100))
    size = path.stat().st_size
    with open(path, "rb+") as file:
        file.truncate(size - 10)
    with pytest.raises(BadInput, match=rf"{size - 10} bytes found, {size} bytes expected"):
        PatchSet(path)


def test_what_is_no_patch_set_is_refused_with_what_it_is(tmp_path):
    patches().drop_vars("complex").to_netcdf(tmp_path / "old.nc", format="NETCDF3_64BIT")
    (tmp_path / "page.nc").write_text("<html>not found</html>")
    with pytest.raises(BadInput, match="old.nc: this is netCDF-3; expected netCDF-4"):
        PatchSet(tmp_path / "old.nc")
    with pytest.raises(
        BadInput, match="page.nc: begins with b'<html>no'; expected a netCDF-4 file"
    ):
        PatchSet(tmp_path / "page.nc")
    with pytest.raises(BadInput, match="none.nc: no such file"):
        PatchSet(tmp_path / "none.nc")


def test_packed_and_missing_variables_are_refused(tmp_path):
    packed = {"dust": {"dtype": "int16", "scale_factor": 0.01, "contiguous": True}}
    patches().to_netcdf(tmp_path / "p.nc", encoding=packed)
    with pytest.raises(BadInput, match="dust is packed"):
        PatchSet(tmp_path / "p.nc").array("dust")
    with pytest.raises(BadInput, match=r"variable hi not found \(variables: .*dust, target"):
        PatchSet(tmp_path / "p.nc").array("hi")


def test_example_must_be_the_first_dimension(tmp_path):
    with pytest.raises(BadInput, match="dust has dimensions .*expected 'example' first"):
        write(patches().transpose("y", "x", "example", ...), tmp_path / "p.nc")
