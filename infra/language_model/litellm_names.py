"""The names by which litellm calls models, where they differ from those of the models file."""

GENERATING, CHATTING = "ollama/", "ollama_chat/"


def called_by_litellm(name: str) -> str:
    """`name`, with Ollama's API of chats in place of that of prompts.

    For the latter litellm writes functions into the prompt, and takes any answer that looks like a call for one.
    """
    return f"{CHATTING}{name.removeprefix(GENERATING)}" if name.startswith(GENERATING) else name
