"""What a server is sent in its turn."""

from benchmarks.measure import closed_loads, open_loads


def test_a_server_settles_before_it_is_measured_for_the_first_time() -> None:
    first, *others = closed_loads([1, 32, 64], 5.0) + open_loads([40.0], 5.0)

    assert all(first.warm_up_s > load.warm_up_s > 0 for load in others)
    assert [load.name for load in (first, *others)] == ["1 clients", "32 clients", "64 clients", "40/s"]
    assert {load.seconds for load in (first, *others)} == {5.0}
