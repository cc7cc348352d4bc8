"""What a user does on the page: branches, settings, tools, receipts, tokens, copies, files."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route

from page.tab import Tab, undisturbed
from processes import Running

pytestmark = pytest.mark.slow

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Oslo", "Rome"]}},
            "required": ["city"],
        },
    },
}


def test_regenerate_edit_and_branch(tab: Tab) -> None:
    tab.limit(12)
    tab.send("One")
    first = tab.reply()
    tab.act("Regenerate")
    second = tab.reply()
    assert first["seed"] != second["seed"]
    assert f"seed {second['seed']}" in tab.last.locator(".facts").inner_text()
    assert second["text"] == undisturbed(tab.url, "One", second["seed"], 12)
    tab.last.get_by_role("button", name="Earlier version").click()
    assert first["text"].split()[0] in tab.last.inner_text()
    tab.page.locator("article.user").get_by_role("button", name="Edit").click()
    tab.page.get_by_label("Edited message").fill("Two")
    tab.page.get_by_role("button", name="Send as a new branch").click()
    third = tab.reply()
    assert third["text"] == undisturbed(tab.url, "Two", third["seed"], 12)
    tab.page.locator("article.user").get_by_role("button", name="Earlier version").click()
    assert tab.page.locator("article.user > .body").inner_text() == "One"


def test_a_receipt_is_checked_and_a_forged_one_fails(tab: Tab) -> None:
    tab.limit(20)
    tab.send("Hello")
    tab.await_end()
    tab.act("Check receipt")
    tab.page.get_by_text("Checked: computed again, all").wait_for()

    def forged(route: Route) -> None:
        body = json.loads(route.request.post_data or "")
        route.continue_(post_data=json.dumps(body | {"seed": body["seed"] + 1}))

    tab.page.route("**/v1/replay", forged)
    tab.act("Check receipt")
    tab.page.get_by_text("Not the same: it differs from token").wait_for()


def test_tokens_show_what_else_they_could_have_been(tab: Tab) -> None:
    tab.limit(15)
    tab.send("Hello")
    reply = tab.reply()
    tab.act("Tokens")
    tab.page.get_by_text("the same bytes as above").wait_for()
    tokens = tab.page.get_by_role("group", name="Tokens of the reply").get_by_role("button")
    assert tokens.count() == reply["usage"]["completion_tokens"]
    tokens.first.focus()
    tab.page.keyboard.press("ArrowRight")
    panel = tab.page.locator(".alternatives")
    assert "Token 2 of" in panel.inner_text()
    assert panel.get_by_role("listitem").count() >= 5
    assert "%" in panel.inner_text()
    assert "chosen" in panel.inner_text()
    tokens.nth(3).hover()
    assert "Token 4 of" in panel.inner_text()


def test_a_tool_call_is_shown_and_answered(tab: Tab) -> None:
    tab.limit(200)
    tab.settings({"Tools": json.dumps([WEATHER])})
    tab.page.get_by_role("button", name="Settings of this conversation").click()
    tab.page.get_by_label("Which tool").select_option("Call one")
    tab.page.get_by_role("button", name="Close settings").click()
    tab.send("How is the weather?")
    reply = tab.reply()
    calls: list[dict[str, Any]] = reply["calls"]
    assert {each["name"] for each in calls} == {"weather"}
    assert tab.last.get_by_role("region", name="Tool call weather").count() == len(calls)
    for field in tab.last.get_by_label("Result of weather").all():
        field.fill("Sunny")
    tab.page.get_by_role("button", name="Send results").click()
    assert tab.reply()["state"] == "done"
    assert tab.page.locator("article.tool").first.inner_text().startswith("Result of weather")


def test_a_json_reply_and_faulty_settings(tab: Tab) -> None:
    tab.limit(200)
    tab.page.get_by_role("button", name="Settings of this conversation").click()
    tab.page.get_by_label("Reply").select_option("JSON that follows a schema")
    schema = tab.page.get_by_label("Schema", exact=True)
    schema.fill("{broken")
    tab.send("A number")
    tab.page.get_by_text("are not JSON").wait_for()
    assert tab.page.locator("article").count() == 0
    schema.fill('{"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]}')
    tab.page.get_by_role("button", name="Send Message").click()
    reply = tab.reply()
    assert json.loads(reply["text"])["n"] in (1, 2)
    assert json.loads(tab.last.locator("pre").inner_text()) == json.loads(reply["text"])


def test_reasoning_is_folded(tab: Tab) -> None:
    deltas = [{"reasoning_content": "Let me think."}, {"content": "Four."}]
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    body = "".join(f"data: {json.dumps(each)}\n\n" for each in chunks) + "data: [DONE]\n\n"
    tab.page.route(
        "**/v1/chat/completions",
        lambda route: route.fulfill(content_type="text/event-stream", body=body),
    )
    tab.send("What is two plus two?")
    tab.await_end()
    assert not tab.page.get_by_text("Let me think.").is_visible()
    tab.page.get_by_text("Reasoning").click()
    assert tab.page.get_by_text("Let me think.").is_visible()
    assert tab.last.locator("> .body").inner_text() == "Four."


def test_copies_run(tab: Tab, storing_server: Running, tmp_path: Path) -> None:
    """What is copied gives the same reply in a terminal and in a program."""
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.limit(12)
    tab.settings({"Top k": 40, "System prompt": 'It\'s "you"'})
    tab.send("It's a test")
    reply = tab.reply()
    tab.act("Python")
    program = tmp_path / "copied.py"
    program.write_text(tab.page.evaluate("navigator.clipboard.readText()"))
    printed = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (printed.stdout, printed.stderr) == (reply["text"], "")
    tab.act("curl")
    command = tab.page.evaluate("navigator.clipboard.readText()")
    streamed = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False
    ).stdout
    events = [each[6:] for each in streamed.splitlines() if each.startswith("data: {")]
    contents = [json.loads(each)["choices"][0]["delta"].get("content", "") for each in events]
    assert "".join(contents) == reply["text"]


def test_export_clear_and_import(tab: Tab, tmp_path: Path) -> None:
    tab.limit(5)
    tab.send("To be exported")
    text = tab.reply()["text"]
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Export", exact=True).click()
    file = tmp_path / "export.json"
    download.value.save_as(file)
    tab.page.get_by_role("button", name="Clear all").click()
    tab.page.get_by_role("button", name="Delete all").click()
    tab.page.get_by_text("No conversations yet").wait_for()
    assert tab.stored() == []
    tab.page.get_by_label("File to import").set_input_files(file)
    tab.page.get_by_role("button", name="To be exported", exact=True).click()
    assert [each["text"] for each in tab.stored()] == [text]
    for content, problem in (("{", "not JSON"), ("{}", "not an export"), ('[{"a": 1}]', "export")):
        bad = tmp_path / "bad.json"
        bad.write_text(content)
        tab.page.get_by_label("File to import").set_input_files(bad)
        tab.page.get_by_role("status").get_by_text(problem).wait_for()


def test_an_error_says_what_to_change(tab: Tab) -> None:
    tab.settings({"Stop sequences": "\n".join("abcdefghijklmnopqrstuvwxyz")})
    tab.send("Hello")
    alert = tab.page.get_by_role("alert")
    alert.wait_for()
    assert "stop" in alert.inner_text()
    tab.errors.clear()  # the browser reports the 400
