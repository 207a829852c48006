import pytest

from models.files import media_type_of


@pytest.mark.parametrize(
    ("filename", "media_type"),
    [
        ("a.pdf", "application/pdf"),
        ("a.csv.gz", None),
        ("a.unheardof", None),
        ("", None),
        ('data:a/b";c,d.pdf', "application/pdf"),
    ],
)
def test_media_type_is_that_of_the_ending(filename: str, media_type: str | None) -> None:
    assert media_type_of(filename) == media_type
