"""Files that are there as a whole or as before."""

import os
import stat
import threading

import pytest
from phantom_compiler.accelerator.whole_file import check_writable, whole_file


def write(path, content=b"new", fail=False):
    with whole_file(path) as file:
        file.write(content[:1])
        file.write(content[1:])
        file.seek(0)
        assert file.read() == content
        if fail:
            raise ValueError("in the middle")


def test_a_new_file_and_one_that_is_there(tmp_path):
    path = tmp_path / "x"
    check_writable(path)
    assert not list(tmp_path.iterdir())
    write(path)
    assert path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == 0o666 & ~current_umask()
    path.chmod(0o640)
    check_writable(path)
    write(path, b"newer")
    assert path.read_bytes() == b"newer" and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_an_exception_leaves_what_was_there(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    for target in (path, tmp_path / "other"):
        with pytest.raises(ValueError, match="in the middle"):
            write(target, fail=True)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_link_stays_one(tmp_path):
    (tmp_path / "folder").mkdir()
    link, target = tmp_path / "link", tmp_path / "folder" / "x"
    link.symlink_to(target)
    for _ in range(2):  # without and with its target
        check_writable(link)
        write(link)
        assert link.is_symlink() and target.read_bytes() == b"new"


def test_a_pipe_gets_everything_once(tmp_path):
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    check_writable(pipe)  # its reader does not see that
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write(pipe)
    reader.join(10)
    assert found == [b"new"] and pipe.is_fifo()


def test_standard_output_that_is_a_file(capfd):
    """What is printed before and after stays where it is."""
    print("before")
    write("/dev/stdout", b"in between\n")
    print("after")
    assert capfd.readouterr().out == "before\nin between\nafter\n"


@pytest.mark.parametrize("name", ["folder", "no/x", "file/x"])
def test_what_cannot_be_written(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    for action in (check_writable, write):
        with pytest.raises(OSError, match=r"directory"):
            action(tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "file"}
