"""Provenance: checksums against hashlib, the git state of a repository made for the test."""

import hashlib
import subprocess

import h5py
import numpy as np
import pytest

from skyloom import provenance
from skyloom.provenance import file_checksum, git_state, package_versions


def test_checksum_of_a_small_file_is_its_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"maps")
    assert file_checksum(tmp_path / "a") == "sha256:" + hashlib.sha256(b"maps").hexdigest()


@pytest.fixture
def large(tmp_path, monkeypatch):
    """A 10 MB HDF5 file, treated as a large one, and a function that makes a changed copy of it."""
    monkeypatch.setattr(provenance, "WHOLE_BYTES", 1 << 20)
    monkeypatch.setattr(provenance, "N_BLOCKS", 16)
    base = np.random.default_rng(0).normal(size=(100, 13000))

    def make(name, change=lambda file: None):
        with h5py.File(tmp_path / name, "w") as file:
            file["maps"] = base
            file["split"] = np.zeros(100, np.int8)
            file["maps"].attrs["asinh_scale"] = 2.5
            change(file)
        return file_checksum(tmp_path / name)

    return make


def test_sampled_checksum_is_the_same_for_a_copy(large):
    assert large("a") == large("b")
    assert large("a").startswith("sampled-sha256:")


def change_attribute(file):
    file["maps"].attrs["asinh_scale"] = 2.5000001


def change_split(file):
    file["split"][57] = 2


def change_a_few_examples(file):
    file["maps"][20:30] = 0


def change_noise(file):
    file["maps"][...] *= 1 + 1e-15


@pytest.mark.parametrize(
    "change", [change_attribute, change_split, change_a_few_examples, change_noise]
)
def test_sampled_checksum_sees_what_a_rule_would_change(large, change):
    assert large("a") != large("b", change)


def test_git_state_names_the_commit_and_whether_the_tree_is_dirty(tmp_path):
    def git(*words):
        return subprocess.run(
            ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", *words],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    git("init")
    (tmp_path / "code.py").write_text("1")
    git("add", "code.py")
    git("commit", "-m", "x")
    assert git_state(tmp_path) == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "code.py").write_text("2")
    assert git_state(tmp_path)["dirty"] is True


def test_git_state_is_empty_without_git_and_outside_a_clone(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) == {"commit": None, "dirty": None}
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path) == {"commit": None, "dirty": None}


def test_package_versions_are_those_that_the_packages_state():
    assert package_versions()["numpy"] == np.__version__
    assert package_versions()["h5py"] == h5py.__version__
