import dataclasses
import hashlib
import json

import numpy as np
import pytest

from blpsim.errors import StoreError
from blpsim.store.blocks import CorruptBlockError, check_block, encoded, read_block, read_header
from blpsim.study.records import FIELDS
from tests.store.made import block, content


def written(tmp_path, made, revision=0):
    header, text = encoded(made, content(), revision)
    path = tmp_path / header.name
    path.write_bytes(text)
    return header, path


def test_a_block_comes_back_bit_for_bit(tmp_path):
    made = block("complex/é", 3, 7)
    header, path = written(tmp_path, made)
    back = read_block(path)
    assert read_header(path) == header
    assert (back.scenario, back.estimators, back.parameters) == (
        made.scenario,
        made.estimators,
        made.parameters,
    )
    assert (back.start, back.stop, back.failures) == (3, 7, made.failures)
    assert back.arrays.keys() == made.arrays.keys()
    for name, array in made.arrays.items():
        assert back.arrays[name].dtype == array.dtype
        assert back.arrays[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("added", ["failed_draws", "inversion_failures", "micro_fitted"])
def test_a_block_of_an_earlier_release_lacks_what_was_added(tmp_path, monkeypatch, added):
    made = block("simple", 0, 2)
    earlier = {name: field for name, field in FIELDS.items() if name != added}
    with monkeypatch.context() as patched:
        patched.setattr("blpsim.study.records.FIELDS", earlier)
        arrays = {name: array for name, array in made.arrays.items() if name != added}
        path = written(tmp_path, dataclasses.replace(made, arrays=arrays))[1]
    back = read_block(path)
    assert np.isnan(back.arrays[added]).all()
    assert back.arrays[added].shape == made.arrays[added].shape
    assert np.array_equal(back.arrays["estimate"], made.arrays["estimate"])


def test_the_header_tells_statuses_hashes_and_seconds_without_the_body(tmp_path):
    made = block("simple", 0, 4, seconds=2.0)
    header = read_header(written(tmp_path, made, revision=3)[1])
    assert header.statuses == tuple(map(tuple, made.arrays["status"].tolist()))
    assert header.data_statuses == (1, 1, 1, 1)
    assert header.seconds == 2.0 * 4 * 3
    assert (header.revision, header.seed, header.code) == (3, 7, "c" * 64)
    assert (header.scenario_hash, header.estimator_hashes) == ("1" * 64, ("a" * 64, "b" * 64))
    assert header.failures == len(made.failures)


def test_any_flipped_byte_is_detected(tmp_path):
    _, path = written(tmp_path, block("simple", 0, 2))
    text = path.read_bytes()
    for place in {*range(0, len(text), 41), len(text) - 1}:
        path.write_bytes(text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :])
        with pytest.raises(CorruptBlockError, match=r"expected the bytes that were written"):
            check_block(path)
        with pytest.raises(CorruptBlockError):
            read_block(path)


@pytest.mark.parametrize("kept", [0, 10, 200, -1])
def test_a_cut_block_is_detected_by_its_header_already(tmp_path, kept):
    _, path = written(tmp_path, block("simple", 0, 2))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CorruptBlockError):
        read_header(path)


def test_a_block_has_the_same_name_whenever_it_is_written_and_another_when_it_is_another():
    names = [
        encoded(block("simple", 0, 2, seconds=1.0), content(), 0)[0].name,
        encoded(block("simple", 0, 2, seconds=9.0), content(), 0)[0].name,
        encoded(block("simple", 0, 2), content(), 1)[0].name,
        encoded(block("simple", 0, 3), content(), 0)[0].name,
        encoded(block("simple", 0, 2, estimators=("own",)), content(), 0)[0].name,
        encoded(block("simple", 0, 2), content(scenarios={"simple": "9" * 64}), 0)[0].name,
        encoded(block("complex/é", 0, 2), content(), 0)[0].name,
    ]
    assert names[0] == names[1]
    assert len(set(names)) == len(names) - 1
    assert all("/" not in name and name.isascii() for name in names)


def test_objects_that_would_need_pickle_are_refused():
    made = block("simple", 0, 1)
    odd = dataclasses.replace(made, arrays={**made.arrays, "extra": np.array([{}], object)})
    with pytest.raises(StoreError, match="pickle"):
        encoded(odd, content(), 0)


def test_a_header_of_an_earlier_release_names_no_micro_moments(tmp_path):
    made = block("simple", 0, 2)
    arrays = {name: array for name, array in made.arrays.items() if not name.startswith("micro_")}
    fields = {name: field for name, field in FIELDS.items() if not name.startswith("micro_")}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("blpsim.study.records.FIELDS", fields)
        without = dataclasses.replace(made, arrays=arrays, micro_moments=())
        header, text = encoded(without, content(), 0)
    first, rest = text.split(b"\n", 1)
    length = int(first.split()[2])
    values = json.loads(rest[:length])
    del values["micro_moments"]
    head = json.dumps(values).encode()
    path = tmp_path / header.name
    digest = hashlib.sha256(head).hexdigest()
    path.write_bytes(f"blpsim-block 1 {len(head):010d} {digest}\n".encode() + head + rest[length:])
    assert read_header(path).micro_moments == ()
    back = read_block(path)
    assert back.arrays["micro_observed"].shape == (2, 2, 0)
    assert np.array_equal(back.arrays["estimate"], made.arrays["estimate"])
