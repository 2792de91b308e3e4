"""Methods that know the law stand beside learners without a rank, and are ranked where all rows know it."""

from __future__ import annotations

from fakes import board, record

from ganbench.boards.own import family_of
from ganbench.boards.standings import GIVEN, block_name, standings


def rows(given: bool):
    records = [
        record(model, "ring8", seed, {"mmd": mean + 0.01 * seed})
        for model, mean in (("gibbs", 0.1), ("gan_ns", 1.0), ("control_noise", 2.0))
        for seed in range(3)
    ]
    asked = board("ring8").model_copy(update={"given_density": given})
    return {s.entry.key: s for s in standings(asked, records, family_of)}


def test_beside_learners_they_have_a_badge_and_no_rank() -> None:
    found = rows(given=False)
    assert found["gibbs"].entry.badge == GIVEN
    assert found["gibbs"].rank is None
    assert block_name(found["gan_ns"]) == "ranked"
    assert found["gan_ns"].rank is not None
    assert found["gan_ns"].rank.place == 1


def test_on_a_board_of_their_own_they_are_ranked() -> None:
    found = rows(given=True)
    assert found["gibbs"].rank is not None
    assert found["gibbs"].rank.place == 1
    assert block_name(found["control_noise"]) == "control"
