"""The message of `holdfast up` once it serves: the addresses, a program to try it with, and the models."""

from cli.api_url import LOOPBACK, api_url
from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.scripted import SCRIPTED_MODEL
from infra.settings import Settings
from infra.temporal import connect_config

TRY_IT = """\
import openai; beta = openai.OpenAI(base_url="{url}/v1", api_key="{key}").beta
run = beta.threads.create_and_run_poll(assistant_id=beta.assistants.create(model="{model}").id, thread={{"messages": [{{"role": "user", "content": "Hello!"}}]}})
print(beta.threads.messages.list(run.thread_id).data[0].content[0].text.value)"""  # noqa: E501


def ready_message(settings: Settings, catalogue: ModelCatalogue, shows_ui: bool) -> str:
    """The text for a terminal. `shows_ui`: the embedded Temporal server runs, and its UI with it."""
    url = api_url(settings)
    model = SCRIPTED_MODEL if catalogue.has_scripted else "the name of a model"
    key = "one of HOLDFAST_API_KEYS" if settings.api_keys else "any"
    places = f"console on {url}, API on {url}/v1, {_temporal(settings, shows_ui)}"
    return "\n".join(
        (
            f"Holdfast is ready: {places}. Try it in Python:",
            TRY_IT.format(url=url, key=key, model=model),
            f"Models: {_models(catalogue)}.",
        )
    )


def _temporal(settings: Settings, shows_ui: bool) -> str:
    if shows_ui:
        return f"Temporal UI on http://{LOOPBACK}:{settings.temporal_ui_port}"
    return f"Temporal at {connect_config().get('target_host')}"


def _models(catalogue: ModelCatalogue) -> str:
    offered = ", ".join([*catalogue.names(), *catalogue.wildcards()])
    return f"{offered}, and any name that litellm knows" if catalogue.is_open else offered
