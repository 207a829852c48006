"""Cuts a text for a model at an endpoint, whose own tokens are not known: by those of cl100k."""

from collections.abc import Sequence

from infra.embeddings.even_pieces import even_pieces
from infra.tokenizers import token_starts


def token_windows(text: str, max_tokens: int) -> Sequence[str]:
    """Takes time for a long text: call it in a thread."""
    # No token is shorter than a byte, nor a character longer than four.
    if len(text) * 4 <= max_tokens:
        return [text]
    starts = token_starts(text)
    begins_word = [start >= 0 and text[start].isspace() for start in starts]
    return even_pieces(text, starts, begins_word, max_tokens)
