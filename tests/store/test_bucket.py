"""A bucket's names, bytes and owner, on file systems that are always there."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.errors import (
    ForetokenError,
    LeaseLostError,
    MissingExtraError,
    StoreError,
    StudyBusyError,
    StudyFileError,
)
from foretoken.runs.schema import LaunchSection
from foretoken.runs.study_file import load_study
from foretoken.store import atomic
from foretoken.store import bucket as buckets
from foretoken.store.bucket import Bucket, as_url, is_known, reason, within
from foretoken.store.claim import Claim
from foretoken.store.lease import Attempt
from foretoken.store.push import Pusher
from foretoken.store.seals import sha256_of, write_seals

fsspec = pytest.importorskip("fsspec", reason="buckets are read by fsspec")
KEY = "0123456789abcdef"


@pytest.fixture(params=["memory", "file"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    return Bucket(f"memory://{tmp_path.name}/study" if request.param == "memory" else f"file://{tmp_path}/there")


@pytest.fixture
def local(tmp_path: Path) -> Bucket:
    return Bucket(f"file://{tmp_path}/there")


def attempt(number: int, pid: int = 1) -> Attempt:
    return Attempt(number, "machine boot", pid, "2030-01-01T00:00:00+00:00")


def claimed(bucket: Bucket, number: int, pid: int = 1, seconds: float = 60.0) -> Claim:
    claim = Claim(bucket, seconds)
    claim.take(attempt(number, pid), bucket.names(), None)
    return claim


def grow_old(bucket: Bucket, number: int) -> None:
    path = Path(bucket.url.removeprefix("file://")) / f"attempts/{number:09d}.json"
    os.utime(path, (time.time() - 1e4,) * 2)


def test_a_probe_leaves_nothing(bucket: Bucket) -> None:
    bucket.probe()
    assert bucket.names() == {}


def test_objects_are_written_read_listed_and_deleted(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("seals", b"one")
    bucket.put("seals", b"two")
    (tmp_path / "large").write_bytes(b"x" * 5_000_000)
    bucket.put_file(f"runs/{KEY}/weights/model.safetensors", tmp_path / "large")
    assert bucket.read(["seals", "fit.json"]) == {"seals": b"two"}
    assert bucket.names() == {"seals": 3, f"runs/{KEY}/weights/model.safetensors": 5_000_000}
    bucket.fetch(f"runs/{KEY}/weights/model.safetensors", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "large").read_bytes()
    for name in ("seals", "seals", f"runs/{KEY}/weights/model.safetensors"):
        bucket.delete(name)
    assert bucket.names() == {}


def test_of_many_who_create_an_object_one_wins(local: Bucket) -> None:
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda number: local.create("fit.json", str(number).encode()), range(8)))
    assert sum(won) == 1
    assert local.read(["fit.json"])["fit.json"] == str(won.index(True)).encode()


def test_a_file_system_that_cannot_create_is_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket("memory://old/study")
    written = bucket._files.pipe_file

    def older(path: str, value: bytes) -> None:
        written(path, value)

    monkeypatch.setattr(bucket._files, "pipe_file", older)
    assert bucket.create("fit.json", b"first")
    assert not bucket.create("fit.json", b"second")
    assert bucket.read(["fit.json"]) == {"fit.json": b"first"}


def test_an_answer_that_was_lost_on_its_way_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket("memory://lost/study")
    written = bucket._files.pipe_file

    def lossy(path: str, value: bytes, mode: str = "overwrite") -> None:
        written(path, value, mode=mode)
        raise ConnectionError("the answer was lost")

    monkeypatch.setattr(bucket._files, "pipe_file", lossy)
    assert bucket.create("fit.json", b"mine")


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        f"runs/{KEY}/step-000000001-1/..",
        f"runs/{KEY}/weights/../../../x",
        f"runs/{KEY}/own/../../x",
        "log/x",
        "/etc/passwd",
        "design.json/x",
        f"runs/{KEY}/record.json.corrupt",
        "ledger/../x.json",
        "ledger/a\\b.json",
        "évil",
        "",
    ],
)
def test_a_name_that_no_study_has_is_refused(name: str) -> None:
    assert not is_known(name)
    bucket = Bucket("memory://hostile/study")
    bucket._files.store.clear()
    bucket._files.pipe_file("/hostile/study/notes.txt", b"")
    with pytest.raises(StoreError, match=r"not of a study(.|\n)*notes.txt"):
        bucket.names()
    bucket._files.store.clear()


@given(
    st.lists(st.sampled_from(["..", ".", "runs", KEY, "own", "weights", "step-000000001-1", "a.json", "", "ledger"]))
)
def test_no_known_name_leads_out(parts: list[str]) -> None:
    name = "/".join(parts)
    if is_known(name):
        assert os.path.normpath(name) == name
        assert not name.startswith(("/", ".."))


def test_what_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch, bucket: Bucket) -> None:
    monkeypatch.setattr(buckets, "LARGEST_JSON", 10)
    bucket.put("design.json", b"x" * 11)
    with pytest.raises(StoreError, match="too large"):
        bucket.names()


@pytest.mark.parametrize(
    ("url", "error"),
    [("nothing-known://x/y", StoreError), ("gs://bucket/study", MissingExtraError), ("abfs://x/y", StoreError)],
)
def test_a_protocol_that_is_not_there_is_refused(
    url: str, error: type[ForetokenError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("Please install it")

    if url[0] != "n":
        monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(error):
        Bucket(url)


def test_a_bucket_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "ANSWER_SECONDS", 0.05)
    bucket = Bucket("memory://slow/study")
    monkeypatch.setattr(bucket, "put", lambda *_: time.sleep(2))
    with pytest.raises(StoreError, match="no answer within"):
        bucket.probe()


def test_a_bucket_without_rights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket(f"memory://{tmp_path.name}/x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never-to-be-seen")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("Access Denied to never-to-be-seen")

    monkeypatch.setattr(bucket._files, "pipe_file", refuse)
    with pytest.raises(StoreError, match=r"Access Denied(.|\n)*give the rights") as told:
        bucket.probe()
    assert "never-to-be-seen" not in str(told.value)


def test_secrets_are_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "abcdefgh12345")
    told = reason(OSError("GET http://user:pass@host/x?X-Amz-Signature=123 with abcdefgh12345 failed\nmore"))
    assert not any(word in told for word in ("pass", "123", "abcdefgh", "more"))


@pytest.mark.parametrize("url", ["s3://key:secret@bucket/x", "bucket/x", "s3://a b", "s3://a/x?token=1", "a::s3://b"])
def test_a_url_that_is_none_or_has_secrets_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        LaunchSection(bucket=url)


@pytest.mark.parametrize("url", ["s3://bucket/a/b", "gs://b/x", "file:///mnt/x", "abfs://box@account.net/x"])
def test_a_url_survives_a_path(url: str) -> None:
    assert LaunchSection(bucket=url).bucket == url
    assert as_url(url) == as_url(Path(url)) == url


def test_paths_are_no_urls(tmp_path: Path) -> None:
    assert [as_url(place) for place in (tmp_path, "runs/x", "C:/x", "-", Path("x.csv"))] == [None] * 5


def test_within_hands_on_what_is_raised() -> None:
    assert within(5, lambda: 3) == 3
    with pytest.raises(KeyError):
        within(5, lambda: {}["x"])


def test_a_study_is_claimed_once(bucket: Bucket) -> None:
    first = claimed(bucket, 1)
    with pytest.raises(StudyBusyError, match="pid 1 on machine"):
        claimed(bucket, 2, pid=2)
    first.give_back()
    second = claimed(bucket, 2, pid=2)
    with pytest.raises(LeaseLostError, match="pid 2"):
        Claim.look(first_again(first))
    second.look()
    assert bucket.attempts() == ["attempts/000000002.json"]


def first_again(claim: Claim) -> Claim:
    """An owner that was frozen when it ended, and goes on."""
    claim._ended.clear()
    return claim


def test_an_owner_without_a_sign_of_life_is_taken_over_and_stops(local: Bucket) -> None:
    late = claimed(local, 1)
    grow_old(local, 1)
    newer = claimed(local, 5, pid=2)
    with pytest.raises(LeaseLostError):
        late.look()
    with pytest.raises(LeaseLostError):
        late.confirm()
    late.give_back()
    assert json.loads(local.read(["attempts/000000005.json"])["attempts/000000005.json"])["ended_at"] is None
    newer.give_back()
    assert json.loads(local.read(["attempts/000000005.json"])["attempts/000000005.json"])["ended_at"]


def test_a_late_owner_copies_nothing_and_says_that_it_has_lost_the_study(local: Bucket, tmp_path: Path) -> None:
    late = claimed(local, 1)
    grow_old(local, 1)
    claimed(local, 5, pid=2)
    with pytest.raises(LeaseLostError):
        late.look()
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "design.json").write_text("{}")
    with pytest.raises(LeaseLostError):
        Pusher(local, late, tmp_path / "study", {}).look()
    assert local.read(["design.json"]) == {}


def test_scores_that_are_dropped_here_are_dropped_there(local: Bucket, tmp_path: Path) -> None:
    """A machine that goes on from a later checkpoint must not find them."""
    name, pusher = f"runs/{KEY}/scores/{KEY}-000000007.json", Pusher(local, claimed(local, 1), tmp_path, {})
    atomic.write_file(tmp_path / name, b"scores")
    write_seals(tmp_path, {name: sha256_of(tmp_path / name)})
    pusher.look()
    assert set(local.names()) >= {name, "seals"}
    write_seals(tmp_path, {})
    (tmp_path / name).unlink()
    pusher.look()
    assert name not in local.names()
    assert name.encode() not in local.read(["seals"])["seals"]
    assert pusher.failures == {}


def test_what_nobody_foresaw_is_told_as_a_failure(
    local: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that copies must not die unseen: whoever waits for it would wait for nothing."""
    pusher = Pusher(local, claimed(local, 1), tmp_path, {})
    monkeypatch.setattr(pusher, "_files", lambda: iter([None]))
    pusher.look()
    assert list(pusher.failures) == [str(tmp_path)]


def test_a_sign_of_life_keeps_the_study(local: Bucket) -> None:
    owner = claimed(local, 1)
    grow_old(local, 1)
    owner.look()
    with pytest.raises(StudyBusyError):
        claimed(local, 2)


def test_the_folder_that_had_the_study_goes_on_at_once(local: Bucket) -> None:
    claimed(local, 1)
    claim = Claim(local, 60)
    assert claim.take(attempt(2, pid=9), local.names(), before=attempt(1))


def test_an_owner_s_file_that_says_nothing_counts_until_it_is_old(local: Bucket) -> None:
    local.put("attempts/000000001.json", b"{")
    with pytest.raises(StudyBusyError):
        claimed(local, 2)
    grow_old(local, 1)
    claimed(local, 2)


def test_two_who_claim_different_numbers_do_not_both_go_on(local: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    names = local.names()
    claimed(local, 7, pid=2)
    late = Claim(local, 60)
    with pytest.raises(StudyBusyError):
        late.take(attempt(3), names, None)
    assert local.attempts() == ["attempts/000000007.json"]
    with pytest.raises(StudyBusyError):
        Claim(local, 60).take(attempt(7), names, None)


def test_a_bucket_that_was_emptied_is_noticed(local: Bucket) -> None:
    owner = claimed(local, 1)
    local.delete("attempts/000000001.json")
    owner.look()
    assert owner.emptied.is_set()
    assert local.attempts() == ["attempts/000000001.json"]


def test_a_password_in_a_study_file_is_not_printed(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('name = "x"\n[design]\nbudgets = [1e8]\n[launch]\nbucket = "s3://me:hidden@host/x"\n')
    with pytest.raises(StudyFileError, match="without keys and passwords") as told:
        load_study(path)
    assert "hidden" not in str(told.value)
