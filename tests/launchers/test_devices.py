"""Which GPUs a worker gets: never more of one than there is, whole ones kept whole, only those that the user chose."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.hardware import Device, visible_devices
from foretoken.launchers.local import assign

SHARES = st.sampled_from([0.1, 0.2, 0.25, 1 / 3, 0.5, 0.75, 1.0, 2.0, 3.0, 4.0])
TWO = "0, GPU-aaaa, 81559\n1, GPU-bbbb, [N/A]\n"


@settings(max_examples=100, deadline=None)
@given(
    count=st.integers(0, 5),
    steps=st.lists(st.tuples(SHARES, st.booleans(), st.integers(0, 99)), max_size=40),
)
def test_no_device_is_ever_given_out_beyond_what_it_is(count: int, steps: list[tuple[float, bool, int]]) -> None:
    devices = [str(number) for number in range(count)]
    held: list[tuple[tuple[str, ...], float]] = []
    for gpus, frees, which in steps:
        if frees and held:
            held.pop(which % len(held))
        used: Counter[str] = Counter()
        for own, share in held:
            for device in own:
                used[device] += share  # type: ignore[assignment]
        assert all(share <= 1 + 1e-6 for share in used.values())
        given_out = assign(devices, used, gpus)
        if given_out is None:
            free = [1 - used[device] for device in devices]
            assert sum(share > 1 - 1e-6 for share in free) < gpus if gpus >= 1 else all(s < gpus for s in free)
            continue
        assert len(set(given_out)) == len(given_out) == max(1, gpus)
        assert set(given_out) <= set(devices)
        held.append((given_out, min(gpus, 1.0)))


def test_ten_tenths_are_one_and_shares_leave_others_whole() -> None:
    used: dict[str, float] = {}
    for _ in range(10):
        (device,) = assign(["0", "1"], used, 0.1) or ("none",)
        used[device] = used.get(device, 0.0) + 0.1
    assert list(used) == ["0"]
    assert assign(["0", "1"], used, 0.1) == assign(["0", "1"], used, 1) == ("1",)


@pytest.mark.parametrize(
    ("said", "visible"),
    [
        (None, ["0", "1"]),
        ("1", ["1"]),
        ("1,0", ["1", "0"]),
        ("GPU-bb", ["GPU-bb"]),
        ("", []),
        ("-1", []),
        ("0,-1,1", ["0"]),
        ("0,7,1", ["0"]),
        ("1, 1", ["1"]),
        ("MIG-3f", ["MIG-3f"]),
        ("NoDevFiles", []),
    ],
)
def test_what_the_user_has_chosen_is_all_there_is(said: str | None, visible: list[str]) -> None:
    environment = {} if said is None else {"CUDA_VISIBLE_DEVICES": said}
    assert [device.name for device in visible_devices(lambda: TWO, environment)] == visible


def test_memory_is_known_where_it_is_told() -> None:
    assert visible_devices(lambda: TWO, {}) == [Device("0", 81559 * 2**20), Device("1", None)]
    assert visible_devices(lambda: "", {"CUDA_VISIBLE_DEVICES": "0,1"}) == [Device("0"), Device("1")]
    assert visible_devices(lambda: "", {}) == []
