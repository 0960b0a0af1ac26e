"""A bucket by the protocol of S3, on a server of moto's on this machine: pip install 'foretoken[s3]' 'moto[server]'."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from foretoken.errors import StoreError
from foretoken.store import bucket as buckets
from foretoken.store.bucket import Bucket

moto = pytest.importorskip("moto.server", reason="S3 is tried on moto's server: pip install 'moto[server]'")
pytest.importorskip("s3fs", reason="s3:// needs s3fs: pip install 'foretoken[s3]'")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture(autouse=True)
def settings(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-of-the-test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)


@pytest.fixture
def bucket(server: str) -> Bucket:
    import boto3

    boto3.client("s3").create_bucket(Bucket="studies")
    return Bucket("s3://studies/mine")


def test_what_a_study_asks_of_a_bucket(bucket: Bucket) -> None:
    bucket.probe()
    assert bucket.create("seals", b"first")
    assert not bucket.create("seals", b"second")
    assert bucket.read(["seals", "fit.json"]) == {"seals": b"first"}
    assert bucket.names() == {"seals": 5}
    assert abs(bucket.age("seals", "seals")) < 1
    bucket.delete("seals")
    assert bucket.names() == {}


def test_of_many_who_create_an_object_one_wins(bucket: Bucket) -> None:
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda number: bucket.create("fit.json", str(number).encode()), range(8)))
    assert sum(won) == 1
    assert bucket.read(["fit.json"])["fit.json"] == str(won.index(True)).encode()


def test_a_bucket_that_is_not_there_is_refused() -> None:
    with pytest.raises(StoreError, match="make the bucket first") as told:
        Bucket("s3://nobody/mine").probe()
    assert "secret-of-the-test" not in str(told.value)


def test_an_endpoint_that_is_not_there_is_refused_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(buckets, "ANSWER_SECONDS", 1.0)
    with pytest.raises(StoreError, match="cannot hold a study"):
        Bucket("s3://studies/mine").probe()
