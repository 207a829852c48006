"""The parameters of a run: its assistant's settings with the overrides of the request, fixed at creation."""

from pydantic import BaseModel, ConfigDict

from models.assistants import Assistant
from models.runs import CreateRunRequest, RunOverrides, TruncationStrategy
from models.thread_errors import UnusableToolChoice
from models.tools import ChooseFunction, FunctionTool, ResponseFormat, Tool, ToolChoice, ToolResources


class RunSpec(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    assistant_id: str
    model: str
    instructions: str | None
    tools: list[Tool]
    tool_resources: ToolResources
    metadata: dict[str, str]
    temperature: float | None
    top_p: float | None
    reasoning_effort: str | None
    max_completion_tokens: int | None
    max_prompt_tokens: int | None
    truncation_strategy: TruncationStrategy
    response_format: ResponseFormat
    tool_choice: ToolChoice
    parallel_tool_calls: bool
    expires_after_seconds: int

    @classmethod
    def of(cls, assistant: Assistant, body: RunOverrides, default_expiry_seconds: int) -> "RunSpec":
        """A field that the body leaves out or sends as null comes from the assistant. Metadata is not inherited.

        Raises `UnusableToolChoice`.
        """
        tools = assistant.tools if body.tools is None else body.tools
        effort = body.reasoning_effort if isinstance(body, CreateRunRequest) else None
        return cls(
            assistant_id=assistant.id,
            model=body.model or assistant.model,
            instructions=_instructions(assistant, body),
            tools=tools,
            tool_resources=_tool_resources(assistant.tool_resources, body.tool_resources),
            metadata=body.metadata or {},
            temperature=assistant.temperature if body.temperature is None else body.temperature,
            top_p=assistant.top_p if body.top_p is None else body.top_p,
            reasoning_effort=effort or assistant.reasoning_effort,
            max_completion_tokens=body.max_completion_tokens,
            max_prompt_tokens=body.max_prompt_tokens,
            truncation_strategy=body.truncation_strategy or TruncationStrategy(type="auto"),
            response_format=body.response_format or assistant.response_format,
            tool_choice=_tool_choice(body.tool_choice or "auto", tools),
            parallel_tool_calls=body.parallel_tool_calls is not False,
            expires_after_seconds=body.expires_after.seconds if body.expires_after else default_expiry_seconds,
        )


def _tool_resources(of_assistant: ToolResources, of_run: ToolResources | None) -> ToolResources:
    """Tool by tool, because a client of Azure sends `{}` if it has no resources."""
    if of_run is None:
        return of_assistant
    return ToolResources(
        code_interpreter=of_run.code_interpreter or of_assistant.code_interpreter,
        file_search=of_run.file_search or of_assistant.file_search,
    )


def _tool_choice(choice: ToolChoice, tools: list[Tool]) -> ToolChoice:
    if not tools and choice not in ("none", "auto"):
        raise UnusableToolChoice.without_tools()
    if isinstance(choice, ChooseFunction):
        names = {tool.function.name for tool in tools if isinstance(tool, FunctionTool)}
        if choice.function.name not in names:
            raise UnusableToolChoice.of_unknown_function(choice.function.name)
    elif not isinstance(choice, str) and choice.type not in {tool.type for tool in tools}:
        raise UnusableToolChoice.of_missing_tool(choice.type)
    return choice


def _instructions(assistant: Assistant, body: RunOverrides) -> str | None:
    instructions = assistant.instructions if body.instructions is None else body.instructions
    additional = body.additional_instructions if isinstance(body, CreateRunRequest) else None
    parts = [part for part in (instructions, additional) if part]
    return " ".join(parts) if parts else instructions
