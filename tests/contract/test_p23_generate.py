"""P-23, P-30: the synchronous route of the service with tasks, and the names in its bodies."""

from contract.asking import post
from processes import Running
from scripted_replies import scripted_reply

TEXT = "Hello, how are you?"


def test_p23_generate_answers_with_status_and_result(server: Running) -> None:
    answer = post(server.port, {"text": TEXT, "seed": 4}, "/generate").json()
    assert answer["status"] == "finished"
    assert answer["result"] == scripted_reply(TEXT, 4, 16).text


def test_p30_its_bodies_have_names_of_their_own(server: Running) -> None:
    body = {"text": TEXT, "seed": 4, "max_tokens": 20}
    expected = scripted_reply(TEXT, 4, 20).text
    for speculative in (True, False):
        more = {"model_name": "scripted", "dyn_batch": 1, "speculative_decoding": speculative}
        answer = post(server.port, body | more, "/generate")
        assert answer.json()["result"] == expected
        assert answer.json()["model"] == "scripted"
        assert answer.headers["x-rowcast-unenforced"] == "dyn_batch"
    unknown = post(server.port, body | {"model_name": "vicuna_q2"}, "/generate")
    assert unknown.status == 404
    assert "scripted" in unknown.json()["message"]
