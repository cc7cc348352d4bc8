"""Bytes of bodies: a total bound, half of it per team, and a small grant for everyone."""

from rowcast_http.budget import GRANTED, Budget

LIMIT = 10 * GRANTED


def test_a_team_gets_half_and_others_the_rest() -> None:
    budget = Budget(LIMIT)
    red, blue, green = (budget.share(team) for team in ("red", "blue", "green"))
    assert red.take(5 * GRANTED)
    assert not red.take(1)
    assert not budget.share("red").take(2 * GRANTED)
    assert blue.take(5 * GRANTED)
    assert not green.take(2 * GRANTED)
    assert budget.held == LIMIT


def test_an_ordinary_body_is_never_refused() -> None:
    budget = Budget(LIMIT)
    assert budget.share("red").take(5 * GRANTED)
    assert budget.share("blue").take(5 * GRANTED)
    small = budget.share("red")
    assert small.take(GRANTED)
    assert not small.take(1)


def test_what_is_released_can_be_taken_again() -> None:
    budget = Budget(LIMIT)
    first = budget.share("red")
    assert first.take(5 * GRANTED)
    first.release()
    first.release()
    assert budget.held == 0
    assert budget.share("red").take(5 * GRANTED)
