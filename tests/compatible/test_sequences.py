"""Padded prompts become token ids, and streamed token ids become padded sequences."""

from collections.abc import Iterator
from typing import Any

import numpy
import pytest

from rowcast import RowcastError
from rowcast.compatible.sequences import States, unpadded


def test_padding_is_left_out_where_the_mask_is_zero() -> None:
    ids, mask = [[0, 0, 7, 8], [1, 2, 3, 4]], [[0, 0, 1, 1], [1, 1, 1, 1]]
    assert unpadded(ids, mask) == ([[7, 8], [1, 2, 3, 4]], 4)
    assert unpadded(numpy.array(ids), None) == (ids, 4)
    assert unpadded([5, 6], None) == ([[5, 6]], 2)


@pytest.mark.parametrize(
    ("ids", "mask", "sentence"),
    [
        (["a text"], None, "one list of token ids per prompt"),
        ([[1.5]], None, "one list of token ids per prompt"),
        ([[[1]]], None, "one list of token ids per prompt"),
        ([[1, 2]], [[1]], r"attention_mask is \(1, 1\), and input_ids \(1, 2\)"),
    ],
)
def test_what_is_no_array_of_token_ids_is_refused(ids: Any, mask: Any, sentence: str) -> None:
    with pytest.raises(RowcastError, match=sentence):
        unpadded(ids, mask)


def events(*pieces: tuple[int, list[int], bool]) -> Iterator[dict[str, Any]]:
    """Yield events of a stream: choice, token ids, and whether it ends."""
    for index, tokens, ends in pieces:
        yield {
            "choices": [
                {"index": index, "token_ids": tokens, "finish_reason": "stop" if ends else None}
            ]
        }


def test_a_state_comes_with_each_chunk_of_all_unfinished_replies() -> None:
    states = States([[1], [2, 3]], 3, count=1, chunk=2, pad=0)
    stream = events(
        (0, [10, 11], False), (1, [20], True), (0, [12], False), (0, [13, 14], False), (0, [], True)
    )
    seen = list(states.read(stream))
    assert [state.sequences[:, state.padded_length :].tolist() for state in seen] == [
        [[10, 11], [20, 0]],
        [[10, 11, 12, 13], [20, 0, 0, 0]],
        [[10, 11, 12, 13, 14], [20, 0, 0, 0, 0]],
    ]
    assert seen[-1].sequences[:, :3].tolist() == [[0, 0, 1], [0, 2, 3]]
    assert [state.generated_tokens for state in seen] == [3, 5, 6]
    assert seen[-1].tokens_pre_second == seen[-1].tokens_per_second > 0


def test_replies_are_numbered_prompt_by_prompt() -> None:
    states = States([[1], [2]], 1, count=2, chunk=8, pad=9)
    stream = events(*((number, [number] * (number + 1), True) for number in range(4)))
    (only,) = states.read(stream)
    assert only.sequences.tolist() == [
        [1, 0, 9, 9, 9],
        [1, 1, 1, 9, 9],
        [2, 2, 2, 2, 9],
        [2, 3, 3, 3, 3],
    ]
