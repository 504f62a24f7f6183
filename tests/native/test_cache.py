"""The object cache: what is stored comes back, and nothing that cannot be trusted does."""

import multiprocessing
import os
import stat
import time
from pathlib import Path

import pytest

from chainrule.native.cache import ObjectCache, default_directory, digest, source_digest
from chainrule.native.runtime import Unit, compile_units

KEY = digest("some", "code")
posix_only = pytest.mark.skipif(os.name == "nt", reason="POSIX rights")
not_root = pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")


@pytest.fixture
def cache(tmp_path: Path) -> ObjectCache:
    return ObjectCache(tmp_path / "a" / "cache")


def entry(cache: ObjectCache) -> Path:
    [path] = cache.directory.glob("*.object")
    return path


def test_round_trip(cache: ObjectCache) -> None:
    assert cache.get(KEY) is None
    assert cache.put(KEY, b"code\0\xff")
    assert cache.get(KEY) == b"code\0\xff"
    assert cache.get(digest("other")) is None
    cache.put(KEY, b"newer")
    assert cache.get(KEY) == b"newer"
    cache.clear()
    assert cache.get(KEY) is None


def test_digest_separates_its_parts() -> None:
    assert digest("ab", "c") != digest("a", "bc") != digest("abc")
    assert len({digest(), digest(""), digest("", "")}) == 3


def test_source_digest_is_a_digest() -> None:
    assert len(source_digest()) == 64


@posix_only
def test_rights_are_for_the_owner_alone(cache: ObjectCache) -> None:
    old = os.umask(0)
    try:
        cache.put(KEY, b"code")
    finally:
        os.umask(old)
    assert stat.S_IMODE(cache.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry(cache).stat().st_mode) == 0o600


@posix_only
@pytest.mark.parametrize("where", ["file", "folder"])
@pytest.mark.parametrize("bit", [stat.S_IWGRP, stat.S_IWOTH])
def test_what_others_may_write_is_not_executed(cache: ObjectCache, where: str, bit: int) -> None:
    cache.put(KEY, b"code")
    path = entry(cache) if where == "file" else cache.directory
    path.chmod(path.stat().st_mode | bit)
    assert cache.get(KEY) is None
    assert cache.put(KEY, b"mended") == (where == "file")


@posix_only
def test_links_are_not_followed(cache: ObjectCache, tmp_path: Path) -> None:
    cache.put(KEY, b"code")
    path = entry(cache)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert cache.get(KEY) is None


def test_every_damaged_byte_and_every_truncation_is_noticed(cache: ObjectCache) -> None:
    cache.put(KEY, b"some object code")
    path = entry(cache)
    good = path.read_bytes()
    for i in range(len(good)):
        path.write_bytes(good[:i] + bytes([good[i] ^ 1]) + good[i + 1 :])
        assert cache.get(KEY) is None
        path.write_bytes(good[:i])
        assert cache.get(KEY) is None
    path.write_bytes(good + b"x")
    assert cache.get(KEY) is None
    path.write_bytes(good)
    assert cache.get(KEY) == b"some object code"


def test_entry_under_another_key_is_not_taken(cache: ObjectCache) -> None:
    cache.put(KEY, b"code")
    other = digest("other")
    entry(cache).rename(cache.directory / f"{other}.object")
    assert cache.get(other) is None


def test_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path / "cache")
    keys = [digest(str(i)) for i in range(10)]
    for age, key in enumerate(keys):
        cache.put(key, bytes([age]) * 900)
        os.utime(cache.directory / f"{key}.object", times=(age, age))
    os.utime(cache.directory / f"{keys[0]}.object")  # used just now
    cache.sweep(keep=5000)
    assert sum(path.stat().st_size for path in cache.directory.iterdir()) <= 5000
    assert cache.get(keys[0]) is not None
    assert cache.get(keys[9]) is not None
    assert cache.get(keys[1]) is None


def test_a_hit_counts_as_use(cache: ObjectCache) -> None:
    cache.put(KEY, b"code")
    os.utime(entry(cache), times=(1, 1))
    cache.get(KEY)
    assert time.time() - entry(cache).stat().st_mtime < 100


def test_bound_holds_while_writing(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path / "cache", limit=20_000)
    for i in range(100):
        cache.put(digest(str(i)), bytes(1000))
        assert sum(path.stat().st_size for path in cache.directory.iterdir()) < 23_000


def test_stale_fragments_are_removed(cache: ObjectCache) -> None:
    cache.put(KEY, b"code")
    stale, fresh = cache.directory / "x.partial", cache.directory / "y.partial"
    stale.touch()
    fresh.touch()
    os.utime(stale, times=(1, 1))
    cache.sweep()
    assert not stale.exists()
    assert fresh.exists()


def test_unusable_folder_only_forgets(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    cache = ObjectCache(tmp_path / "file" / "cache")
    assert not cache.put(KEY, b"code")
    assert cache.get(KEY) is None
    cache.sweep()
    compile_units(Unit(lambda: "define void @f() { ret void }"), ["f"], cache=cache)


@not_root
def test_folder_without_write_permission_only_forgets(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    assert not ObjectCache(folder).put(KEY, b"code")


def test_damaged_object_is_compiled_anew(cache: ObjectCache) -> None:
    unit = Unit(lambda: "define void @f() { ret void }")
    compile_units(unit, ["f"], cache=cache)
    entry(cache).write_bytes(entry(cache).read_bytes()[:-7])
    assert not compile_units(unit, ["f"], cache=cache).reports[0].from_cache
    assert compile_units(unit, ["f"], cache=cache).reports[0].from_cache


def test_directory_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", str(tmp_path))
    assert default_directory() == tmp_path / "native"
    monkeypatch.delenv("CHAINRULE_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert default_directory().name == "native"
    assert default_directory().parent.name == "chainrule"


def _hammer(directory: str, seed: int, failures: object) -> None:
    cache = ObjectCache(Path(directory), limit=30_000)
    for i in range(300):
        name = str((i * 7 + seed) % 40)
        payload = name.encode() * 500
        cache.put(digest(name), payload)
        read = cache.get(digest(name))
        if read not in (payload, None):
            failures.put(name)  # type: ignore[attr-defined]
    failures.put(None)  # type: ignore[attr-defined]


def test_processes_side_by_side_never_see_half_an_entry(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    failures = context.SimpleQueue()
    workers = [context.Process(target=_hammer, args=(str(tmp_path / "cache"), seed, failures)) for seed in range(3)]
    for worker in workers:
        worker.start()
    reports = [failures.get() for _ in workers]
    for worker in workers:
        worker.join()
    assert reports == [None] * 3
    assert not list((tmp_path / "cache").glob("*.partial"))
