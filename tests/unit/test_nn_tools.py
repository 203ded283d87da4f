"""Devices, generators and tensors on disk."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adtoolkit.errors import CacheError, DeviceError
from adtoolkit.nn import chunk_size, generator, isolated_rng, load_tensors, save_tensors, to_numpy, to_tensor, torch_device
from adtoolkit.nn.tools import cpu_threads


def test_generators_follow_their_seed():
    """The same numpy state gives the same torch numbers, and moves on."""
    draws = [torch.rand(3, generator=generator(np.random.default_rng(k))) for k in (1, 1, 2)]
    rng = np.random.default_rng(1)

    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert generator(rng).initial_seed() != generator(rng).initial_seed()


def test_an_isolated_generator_is_seeded_and_leaves_no_trace():
    before = torch.get_rng_state()
    with isolated_rng(3):
        first = torch.nn.Linear(2, 2).weight.clone()
    torch.rand(5)
    with isolated_rng(3):
        second = torch.nn.Linear(2, 2).weight.clone()
    torch.set_rng_state(before)

    assert torch.equal(first, second)
    assert torch.equal(before, torch.get_rng_state())


def test_devices_that_are_not_there_are_refused():
    assert torch_device("cpu").type == "cpu"
    with pytest.raises(DeviceError, match="abacus"):
        torch_device("abacus")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="only: cpu"):
            torch_device("cuda")


def test_small_steps_get_one_thread_and_the_number_is_put_back():
    """The number of threads follows the work, never exceeds what there was, and survives an error."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    seen = []
    for work in (1e3, 1.5e8, 4.5e8, 1e12):
        with cpu_threads(work):
            seen.append(torch.get_num_threads())
    with pytest.raises(ValueError, match="stop"), cpu_threads(1):
        raise ValueError("stop")
    after = torch.get_num_threads()
    torch.set_num_threads(before)

    assert seen == [1, 1, 2, 2]
    assert after == 2


def test_tensors_are_copies_and_come_back():
    array = np.arange(6, dtype="f").reshape(2, 3)
    array.flags.writeable = False
    tensor = to_tensor(array)
    tensor += 1

    assert array[0, 0] == 0
    assert np.array_equal(to_numpy(tensor), array + 1)
    assert chunk_size("cpu") < chunk_size("cuda")


def test_tensors_on_disk_come_back_and_damage_is_noticed(tmp_path):
    path = tmp_path / "net.safetensors"
    tensors = {"a": torch.arange(3.0), "b": torch.eye(2)[:, :1]}
    save_tensors(path, tensors)
    back = load_tensors(path)

    assert all(torch.equal(tensors[k], back[k]) for k in tensors)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(CacheError, match="Cannot read"):
        load_tensors(path)
    with pytest.raises(CacheError, match="Cannot write"):
        save_tensors(tmp_path / "missing" / "x", tensors)
