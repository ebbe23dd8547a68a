"""Files of PyTorch's old format, written here by hand: read, cut off, and with things in them that are refused."""

import io
import pickle
from collections import OrderedDict

import numpy as np
import pytest
from phantom_compiler.frontend.torch_file import MAGIC, PROTOCOL, TorchFileError, read_state


class Global:
    """Pickled as a name in a module that need not exist."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Storage:
    def __init__(self, kind, key, count):
        self.kind, self.key, self.count = kind, key, count


class Tensor:
    def __init__(self, storage, offset, shape, strides):
        self.given = storage, offset, shape, strides


class Pickler(pickle._Pickler):
    """Writes names, storages and tensors as PyTorch does."""

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Global):
            self.write(b"c" + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Storage):
            self.save(("storage", Global("torch", obj.kind), obj.key, "cpu", obj.count, None))
            self.write(pickle.BINPERSID)
        elif isinstance(obj, Tensor):
            self.save(Global("torch._utils", "_rebuild_tensor_v2"))
            self.save((*obj.given, False, OrderedDict()))
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def pickled(obj):
    file = io.BytesIO()
    Pickler(file, 2).dump(obj)
    return file.getvalue()


def content(state, arrays, magic=MAGIC):
    """A file of a state and the numbers of its storages."""
    parts = [pickled(part) for part in (magic, PROTOCOL, {"little_endian": True}, state, list(arrays))]
    return b"".join(parts + [len(array).to_bytes(8, "little") + array.tobytes() for array in arrays.values()])


@pytest.fixture
def arrays():
    return {"b": np.arange(24, dtype="<f4"), "a": np.arange(5, dtype="<i8")}


STATE = OrderedDict(
    weight=Tensor(Storage("FloatStorage", "b", 24), 4, (2, 3, 2), (6, 2, 1)),
    turned=Tensor(Storage("FloatStorage", "b", 24), 0, (4, 6), (1, 4)),
    count=Tensor(Storage("LongStorage", "a", 5), 3, (), ()))


def test_tensors(tmp_path, arrays):
    (tmp_path / "x.pth").write_bytes(content(STATE, arrays))
    state = read_state(tmp_path / "x.pth")
    assert list(state) == ["weight", "turned", "count"]
    np.testing.assert_array_equal(state["weight"], np.arange(4, 16).reshape(2, 3, 2))
    np.testing.assert_array_equal(state["turned"], np.arange(24).reshape(6, 4).T)
    assert state["count"] == 3 and state["count"].dtype == np.int64 and state["weight"].dtype == np.float32


def with_tensor(offset, shape, strides, count=24):
    return OrderedDict(weight=Tensor(Storage("FloatStorage", "b", count), offset, shape, strides))


@pytest.mark.parametrize(("state", "message"), [
    ({"x": Global("os", "system")}, "names os.system, which is no tensor"),
    ({"x": Global("builtins", "eval")}, "names builtins.eval"),
    ({"x": Global("torch", "ComplexStorage")}, "names torch.ComplexStorage"),
    ({"x": 5}, "something else than tensors by name"),
    ([1, 2], "something else than tensors by name"),
    (with_tensor(20, (2, 3), (3, 1)), "lies outside of its storage"),
    (with_tensor(-1, (2,), (1,)), "lies outside of its storage"),
    (with_tensor(0, (1 << 40,), (0,)), "lies outside of its storage"),
    (with_tensor(0, (2, 3), (1,)), r"not a file of PyTorch \(ValueError\)"),
    (with_tensor(0, (2, 3), (3, 1), 23), "'b' is cut off"),
])
def test_files_that_are_refused(tmp_path, arrays, state, message):
    (tmp_path / "x.pth").write_bytes(content(state, {"b": arrays["b"]}))
    with pytest.raises(TorchFileError, match=message) as caught:
        read_state(tmp_path / "x.pth")
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_nothing_is_called(tmp_path):
    class Call:
        def __reduce__(self):
            return print, ("called",)

    (tmp_path / "x.pth").write_bytes(pickle.dumps(MAGIC) + pickle.dumps(PROTOCOL) + pickle.dumps({"x": Call()}))
    with pytest.raises(TorchFileError, match=r"names builtins\.print"):
        read_state(tmp_path / "x.pth")


def test_broken_files(tmp_path, arrays):
    path = tmp_path / "x.pth"
    with pytest.raises(TorchFileError, match=r"cannot read '/nowhere.pth': No such file"):
        read_state("/nowhere.pth")
    path.write_bytes(content(STATE, arrays, MAGIC + 1))
    with pytest.raises(TorchFileError, match="not a file of PyTorch's format of before 2020"):
        read_state(path)
    path.write_bytes(b"PK\x03\x04 a ZIP file")
    with pytest.raises(TorchFileError, match="not a file of PyTorch"):
        read_state(path)
    whole = content(STATE, arrays)
    for size in (0, 10, 60, len(whole) - 1, len(whole) // 2):
        path.write_bytes(whole[:size])
        with pytest.raises(TorchFileError, match=r"not a file of PyTorch|is cut off"):
            read_state(path)
