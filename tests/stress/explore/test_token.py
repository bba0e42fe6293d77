"""Tokens bring back what was recorded, and are refused where they could not."""

import json
from base64 import b32encode
from binascii import crc_hqx
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stress.core.scenario import MODES, Params
from stress.explore import hookset, token
from stress.explore.token import Recorded, TokenError, decode, encode, fitting, read, write
from tests.stress.explore.toys import PARAMS, steps, toy

ONE = Recorded("toy", PARAMS, bytes([1, 2, 1, 1, 2]))

recorded = st.builds(
    Recorded,
    st.sampled_from(["toy", "accumulate.first"]),
    st.builds(
        Params,
        st.sampled_from(MODES),
        st.integers(1, 300),
        st.integers(1, 10**6),
        st.sampled_from(["float64", "float32"]),
        st.integers(0, 2**70),
        st.just(True),
    ),
    st.lists(st.integers(0, 255), max_size=60).map(bytes),
)


@given(recorded)
def test_what_is_encoded_is_decoded(one):
    assert decode(encode(one)) == one


def test_a_token_is_short():
    assert len(encode(Recorded("toy", PARAMS, bytes([1, 2] * 13)))) < 60


@given(st.integers(0, 40), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_wrong_letter_is_noticed(place, letter):
    text = encode(ONE)
    place = min(5 + place, len(text) - 1)
    if text[place] != letter:
        with pytest.raises(TokenError):
            decode(text[:place] + letter + text[place + 1 :])


@pytest.mark.parametrize("text", ["", "toy", "toy:", "toy:a", "toy:1189", encode(ONE)[:-1]])
def test_what_is_no_token_is_refused(text):
    with pytest.raises(TokenError):
        decode(text)


def sealed(body, version=1):
    """A token that is whole, whatever it says."""
    payload = bytes([version]) + hookset.hook_set_hash().to_bytes(2, "big") + body
    payload += crc_hqx(payload, 0).to_bytes(2, "big")
    return f"toy:{b32encode(payload).decode().rstrip('=').lower()}"


RACY = token.word("racy") + token.word("float64") + bytes([2, 4, 0])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        token.varint(2**62) + b"racy",  # a text longer than the token
        token.word("racy") + b"\1\xff" + bytes(5),  # not of ASCII
        RACY,  # ends where the decisions should begin
        RACY + bytes([1]) + token.varint(2**60) + b"\xff",  # more decisions than there are
        RACY + bytes([0]) + token.varint(2**40),  # in no bits at all
        RACY + bytes([9, 1, 1, 1]),  # in more bits than a thread's number has
        RACY + bytes([1, 2, 0, 0]),  # fewer than there are
    ],
)
def test_what_is_whole_and_no_schedule_is_refused(body):
    with pytest.raises(TokenError, match="is no schedule"):
        decode(sealed(body))


def test_a_token_of_another_version_is_refused():
    with pytest.raises(TokenError, match="version 2, and this is version 1"):
        decode(sealed(RACY + bytes([1, 0]), version=2))


@pytest.mark.parametrize("text", ["toy:ü", "toy:\0", "toy:\u0131\u0131"])
def test_letters_that_are_none_are_refused(text):
    with pytest.raises(TokenError, match="damaged"):
        decode(text)


@pytest.fixture
def other_hooks(monkeypatch):
    """An engine with one more point, and one fewer."""
    places = hookset.hook_set()
    changed = tuple(sorted({*places[1:], "runtime/new.py grad.new"}))

    def change():
        monkeypatch.setattr(hookset, "hook_set", lambda: changed)
        monkeypatch.setattr(token, "hook_set", lambda: changed)

    return change, places[0]


def test_a_token_of_other_hooks_is_refused(other_hooks):
    text = encode(ONE)
    other_hooks[0]()
    with pytest.raises(TokenError, match="other hook points"):
        decode(text)


def test_a_file_of_other_hooks_is_refused_with_the_difference(other_hooks, tmp_path):
    path = write(Recorded("toy", PARAMS, bytes([1, 2] * 2_000)), tmp_path)
    assert read(path).decisions == bytes([1, 2] * 2_000)
    other_hooks[0]()
    with pytest.raises(TokenError, match=r"new: runtime/new\.py grad\.new") as refused:
        read(path)
    assert f"gone: {other_hooks[1]}" in str(refused.value)


def test_a_short_schedule_needs_no_file(tmp_path):
    assert read(write(ONE, tmp_path)) == ONE
    assert not list(tmp_path.iterdir())


def test_long_schedules_that_differ_in_the_size_alone_have_files_of_their_own(tmp_path):
    long = Recorded("toy", PARAMS, bytes([1, 2]) * 2_000)
    both = [long, replace(long, params=replace(PARAMS, size=1))]
    paths = [write(one, tmp_path) for one in both]
    assert [read(path) for path in paths] == both
    assert write(long, tmp_path) == paths[0]


def test_where_no_file_can_be_written_the_token_is_long(tmp_path):
    (tmp_path / "file").write_text("")
    long = Recorded("toy", PARAMS, bytes([1, 2]) * 2_000)
    assert read(write(long, tmp_path / "file")) == long


@pytest.mark.parametrize(
    "content",
    ["", "[]", json.dumps({"token": "toy:aa"}), '{"token": "toy:aa", "hook_set": 5}'],
)
def test_a_file_that_is_no_schedule_is_refused(content, tmp_path):
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(TokenError, match="no file of a schedule"):
        read(str(path))
    with pytest.raises(TokenError, match="cannot read"):
        read(str(tmp_path / "missing.json"))


def test_a_file_whose_token_is_none_is_refused(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"token": 5, "hook_set": hookset.hook_set()}))
    with pytest.raises(TokenError, match="'5' is no token"):
        read(str(path))


def test_parameters_that_are_explored_no_more_are_refused_with_the_difference():
    scenario = toy(steps(1))
    fitting(ONE, scenario)
    with pytest.raises(TokenError, match=r"size=7 \(now \['1', '4'\]\)"):
        fitting(Recorded("toy", Params("racy", 2, 7, explored=True), b""), scenario)
    with pytest.raises(TokenError, match="no mode 'locked'"):
        fitting(Recorded("toy", Params("locked", 2, 4, explored=True), b""), scenario)
    with pytest.raises(TokenError, match="not explored any more"):
        fitting(ONE, toy(steps(1), explore=lambda params: ()))


def test_the_hook_set_names_points_and_primitives():
    places = hookset.hook_set()
    assert "runtime/accumulate/merge.py grad.read" in places
    assert "graph.py rlock" in places
