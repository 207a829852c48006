"""Files, sounds and names of messages, by way of litellm: in the provider's form, or refused by their place."""

from typing import Any

import pytest

from infra.language_model.errors import PromptRejected
from infra.language_model.litellm_model import LitellmLanguageModel
from models.language_model import ModelRequest
from tests.infra.language_model.answers import ask
from tests.infra.language_model.passed_on import Models, asked
from tests.infra.language_model.provider_rows import BEDROCKS_CLAUDE
from tests.provider.bedrock import BedrockSays
from tests.provider.replies import Fails, Reply, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import ClaudeSays, GeminiSays

PDF, WAV, PDFS = "JVBERi0xLjQKJSBhIHNtYWxsIGZpbGUK", "UklGRiQAAABXQVZFZm10IBAAAAA=", "application/pdf"
TEXT = {"type": "text", "text": "What is this?"}
CLAUDE, GEMINI, BEDROCK = "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash", f"bedrock/{BEDROCKS_CLAUDE}"
OPENAI, PROMPTED = "openai/own", "text-completion-openai/own"
NAMES = {name: name for name in (CLAUDE, GEMINI, BEDROCK, OPENAI, "cohere/own", "ollama/own", PROMPTED)}
REPLIES: dict[str, Reply] = {
    CLAUDE: ClaudeSays(({"type": "text", "text": "A file."},)),
    GEMINI: GeminiSays(({"text": "A file."},)),
    BEDROCK: BedrockSays(({"text": "A file."},)),
    OPENAI: Says("A file."),
}


def file_of(data: str = f"data:{PDFS};base64,{PDF}", **fields: Any) -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": data, "filename": "a.pdf", **fields}}


def sound_of(data: str = WAV, kind: str = "wav") -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": data, "format": kind}}


SOUND = sound_of()


def saying(model: str, part: dict[str, Any], **fields: Any) -> ModelRequest:
    return asked(model, messages=[{"role": "user", "content": [TEXT, part]}], **fields)


def inline(media_type: str, data: str) -> dict[str, Any]:
    return {"inline_data": {"data": data, "mime_type": media_type}}


@pytest.fixture
def language_model(models: Models) -> LitellmLanguageModel:
    return models.opened(NAMES)


RECEIVED: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    (CLAUDE, file_of(), {"type": "document", "source": {"type": "base64", "media_type": PDFS, "data": PDF}}),
    (GEMINI, file_of(), inline(PDFS, PDF)),
    (GEMINI, file_of(PDF), inline(PDFS, PDF)),
    (GEMINI, file_of(f"data:text/plain;charset=utf-8;base64,{PDF}"), inline("text/plain", PDF)),
    (GEMINI, SOUND, inline("audio/wav", WAV)),
    (BEDROCK, file_of(), {"document": {"source": {"bytes": PDF}, "format": "pdf"}}),
    (OPENAI, file_of(), file_of()),
    (OPENAI, SOUND, SOUND),
)


async def test_files_and_sounds_are_received_in_the_providers_form(
    provider: ScriptedProvider, language_model: LitellmLanguageModel
) -> None:
    for called, part, received in RECEIVED:
        sent_as = called.rpartition("/")[2]
        provider.script(sent_as, REPLIES[called])

        # A field that leaves the answer's form as it is, and one part.
        answered = await ask(language_model, saying(called, part, stop="END"))

        assert answered.text == "A file.", called
        content = _last_content(provider.requests(sent_as)[-1])
        assert len(content) == 2
        # Bedrock's documents have a name of litellm's.
        content[1].get("document", {}).pop("name", None)
        assert content[1] == received


def _last_content(body: Any) -> list[dict[str, Any]]:
    message = (body.get("contents") or body["messages"])[-1]
    return [dict(part) for part in message.get("parts") or message["content"]]


REFUSED: tuple[tuple[str, dict[str, Any], str], ...] = (
    # litellm leaves them out.
    (CLAUDE, SOUND, ""),
    (BEDROCK, SOUND, ""),
    ("ollama/own", file_of(), ""),
    (PROMPTED, file_of(), ""),
    # It sends them as they are to an API that has no such parts.
    ("cohere/own", file_of(), ""),
    ("cohere/own", SOUND, ""),
    # It has no word for the kind, and its error is one of the connection.
    (BEDROCK, file_of(f"data:application/x-own;base64,{PDF}"), ""),
    # Ids of another server's files.
    (CLAUDE, {"type": "file", "file": {"file_id": "file-abc"}}, ".file.file_id"),
    # litellm would fetch these.
    (GEMINI, {"type": "file", "file": {"file_id": "https://127.0.0.1/a.pdf"}}, ".file.file_id"),
    (GEMINI, file_of("https://127.0.0.1/a.pdf"), ".file.file_data"),
    (GEMINI, file_of("gs://bucket/a.pdf"), ".file.file_data"),
    # It reads further fields, which OpenAI's API does not have.
    (GEMINI, file_of(format="audio/wav"), ".file.format"),
    (GEMINI, file_of(PDF, filename="a.csv.gz"), ".file.file_data"),
    # Longer than a media type: the form of the part would not be seen before its base64.
    ("cohere/own", file_of(f"data:application/{'x' * 300};base64,{PDF}"), ".file.file_data"),
    (GEMINI, file_of("data:application/pdf;base64,no base64"), ".file.file_data"),
    (GEMINI, file_of(filename=7), ".file.filename"),
    (GEMINI, {"type": "file", "file": {"filename": "a.pdf"}}, ".file.file_data"),
    (GEMINI, sound_of("https://127.0.0.1/a"), ".input_audio.data"),
    (GEMINI, sound_of(WAV, "wav;a=b"), ".input_audio.format"),
    (GEMINI, {**file_of(), "prompt_cache_breakpoint": {"mode": "explicit"}}, ".prompt_cache_breakpoint"),
)


async def test_part_that_cannot_be_carried_is_refused_by_its_place(
    provider: ScriptedProvider, language_model: LitellmLanguageModel
) -> None:
    for called, part, field in REFUSED:
        with pytest.raises(PromptRejected) as refused:
            await ask(language_model, saying(called, part))

        name = f"messages[0].content[1]{field}"
        assert str(refused.value).startswith(f"Unsupported parameter: '{name}' is not supported with the model"), called
        assert not provider.requests(called.rpartition("/")[2])


async def test_names_of_messages_reach_apis_that_have_them(
    provider: ScriptedProvider, language_model: LitellmLanguageModel
) -> None:
    provider.script("own", REPLIES[OPENAI])
    boss = {"role": "system", "name": "boss", "content": "Be brief."}
    said = [{"role": "user", "name": name, "content": name} for name in ("ada", "ada", "bob")]
    messages = [boss, *said]

    await ask(language_model, asked(OPENAI, messages=messages))

    joined = {**said[0], "content": "ada\n\nada"}
    assert provider.requests("own")[-1]["messages"] == [boss, joined, said[2]]
    for called in (CLAUDE, GEMINI, "cohere/own"):
        with pytest.raises(PromptRejected, match=r"'messages\[0\].name' is not supported with the model"):
            await ask(language_model, asked(called, messages=messages))


async def test_refusal_of_an_earlier_answer_is_sent_as_its_text(
    provider: ScriptedProvider, language_model: LitellmLanguageModel
) -> None:
    provider.script(CLAUDE.rpartition("/")[2], REPLIES[CLAUDE])
    asking = {"role": "user", "content": "Hi"}
    refusing = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}

    await ask(language_model, asked(CLAUDE, messages=[asking, refusing, asking]))

    [request] = provider.requests(CLAUDE.rpartition("/")[2])
    assert request["messages"][1]["content"][0]["text"] == "No."


async def test_fallback_that_takes_the_file_gets_it(provider: ScriptedProvider, models: Models, model: str) -> None:
    provider.script(model, Fails(500, "The first is down."))
    provider.script(f"{model}-2", REPLIES[GEMINI])
    settings = {"router_settings": {"fallbacks": [{"first": ["other", "third"]}]}}
    names = {"first": f"anthropic/{model}", "other": f"ollama/{model}", "third": f"gemini/{model}-2"}

    answered = await ask(models.opened(names, settings), saying("first", file_of()))

    assert answered.text == "A file."
    assert [len(provider.requests(name)) for name in (model, f"{model}-2")] == [1, 1]


async def test_refused_part_is_no_failure_of_the_deployment(provider: ScriptedProvider, models: Models) -> None:
    name = BEDROCK.rpartition("/")[2]
    provider.script(name, REPLIES[BEDROCK])
    language_model = models.opened({"m": BEDROCK}, {"router_settings": {"cooldown_time": 60, "allowed_fails": 0}})
    with pytest.raises(PromptRejected):
        await ask(language_model, saying("m", SOUND))

    answered = await ask(language_model, saying("m", file_of()))

    assert answered.text == "A file."
