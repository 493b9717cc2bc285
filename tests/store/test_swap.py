import os

import pytest

from blpsim.store import swap


@pytest.fixture
def target(tmp_path):
    return tmp_path / "results.zarr"


def build(target, text):
    place = swap.building(target)
    place.mkdir()
    (place / "content").write_text(text)


def content(target):
    return (target / "content").read_text()


def alone(target):
    return [path.name for path in target.parent.iterdir()] == [target.name]


@pytest.mark.parametrize("exchange", [True, False])
def test_the_successor_takes_the_place_and_nothing_else_is_left(target, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(swap, "_exchange", lambda *_: False)
    for text in ("first", "second", "third"):
        build(target, text)
        swap.replace(target)
        assert content(target) == text
        assert alone(target)


def test_an_unfinished_successor_is_removed_and_the_target_stays(target):
    build(target, "whole")
    swap.replace(target)
    build(target, "half")
    swap.finish(target)
    assert content(target) == "whole"
    assert alone(target)


@pytest.mark.parametrize("calls", range(4))
@pytest.mark.parametrize("exists", [True, False])
def test_a_swap_interrupted_at_any_rename_is_finished_by_the_next_command(target, monkeypatch, exists, calls):
    if exists:
        build(target, "old")
        swap.replace(target)
    build(target, "new")
    rename, left = os.rename, [calls]

    def interrupted(source, destination):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        rename(source, destination)

    monkeypatch.setattr(swap, "_exchange", lambda *_: False)
    monkeypatch.setattr(os, "rename", interrupted)
    try:
        swap.replace(target)
    except KeyboardInterrupt:
        monkeypatch.setattr(os, "rename", rename)
        swap.finish(target)
    if calls:
        assert content(target) == "new"
        assert alone(target)
    elif exists:
        assert content(target) == "old"
        assert alone(target)


def test_the_target_is_there_at_every_moment(target, monkeypatch):
    build(target, "old")
    swap.replace(target)
    build(target, "new")
    rename = os.rename

    def watched(source, destination):
        assert target.exists()
        rename(source, destination)
        assert target.exists()

    monkeypatch.setattr(os, "rename", watched)
    swap.replace(target)
    assert content(target) == "new"
