from infra.sandbox.bounded_text import BoundedText


def test_text_within_the_bound_is_whole() -> None:
    text = BoundedText(10)

    shown = [text.add(b"abc"), text.add(b"defg"), text.add(b"hij"), text.end()]

    assert shown == ["abc", "de", "", "fghij"]
    assert text.left_out == 0


def test_head_and_tail_are_kept_and_the_rest_counted() -> None:
    text = BoundedText(10)

    shown = text.add(b"01234") + text.add(b"x" * 5000) + text.add(b"56789") + text.end()

    assert shown == "01234\n[… 5,000 bytes of output are left out …]\n56789"
    assert text.left_out == 5000


def test_character_that_is_cut_between_pieces_is_whole() -> None:
    text = BoundedText(100)

    assert text.add("ü".encode()[:1]) + text.add("ü".encode()[1:]) + text.end() == "ü"


def test_bytes_that_are_no_text_are_replaced() -> None:
    text = BoundedText(100)

    assert text.add(b"a\xff") + text.end() == "a\ufffd"


def test_tail_begins_with_a_whole_character() -> None:
    text = BoundedText(8)

    shown = text.add(b"head") + text.add("xü123".encode()) + text.end()

    assert shown.endswith("left out …]\n123")
