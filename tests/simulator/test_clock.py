"""The clock: order, cancellation, exceptions."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtrail_simulator.clock import NEVER, Clock, rng

moments = st.integers(0, 50)


@given(st.lists(st.tuples(moments, st.booleans())), st.lists(moments))
def test_calls_are_made_once_in_order_of_time_then_of_asking(asked, stops):
    clock, made = Clock(), []
    for n, (us, cancelled) in enumerate(asked):
        handle = clock.call_at(us, partial(lambda n: made.append((clock.now_us, n)), n))
        if cancelled:
            handle.cancel()
    for us in sorted(stops):
        clock.advance_to(us)
        assert clock.now_us == us
    wanted = sorted((us, n) for n, (us, cancelled) in enumerate(asked) if not cancelled)
    assert made == [(us, n) for us, n in wanted if us <= max(stops, default=-1)]


@given(st.lists(moments, min_size=1), moments)
def test_steps_meet_every_call_and_stop_at_the_limit(asked, limit):
    clock, made = Clock(), []
    for us in asked:
        clock.call_at(us, lambda: made.append(clock.now_us))
    while clock.now_us < limit:
        before = clock.now_us
        clock.step(limit)
        assert before <= clock.now_us <= limit
    due = sorted(us for us in asked if us <= limit) if limit else []
    assert made == due[: len(made)]
    assert all(us == limit for us in due[len(made) :])


def test_a_call_may_ask_for_another_at_its_own_moment():
    clock, made = Clock(), []
    clock.call_at(5, lambda: clock.call_after(0, lambda: made.append(clock.now_us)))
    clock.advance_to(5)
    assert made == [5]
    assert clock.next_us == NEVER


def test_a_call_for_the_past_is_due_now():
    clock, made = Clock(), []
    clock.advance_to(10)
    clock.call_at(3, lambda: made.append(clock.now_us))
    clock.advance_to(10)
    assert made == [10]


def test_an_exception_stops_the_clock_where_it_was_raised_and_keeps_later_calls():
    clock, made = Clock(), []
    clock.call_at(5, lambda: 1 / 0)
    clock.call_at(5, lambda: made.append(clock.now_us))
    with pytest.raises(ZeroDivisionError):
        clock.advance_to(9)
    assert clock.now_us == 5
    clock.advance_to(9)
    assert made == [5]


def test_parts_draw_from_their_own_numbers():
    first, second = rng(1, "a"), rng(1, "b")
    numbers = [first.random() for _ in range(5)]
    assert numbers != [second.random() for _ in range(5)]
    again = rng(1, "a")
    assert numbers == [again.random() for _ in range(5)]
