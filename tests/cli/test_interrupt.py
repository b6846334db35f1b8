"""Ctrl-C: the first asks for what there is, the second gives up."""

import os
import signal
import threading

import pytest

from hexsolve.cli.interrupt import stopping_on_interrupt


def test_the_first_is_noted_and_the_second_raises(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with stopping_on_interrupt() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    assert "Ctrl-C again" in capsys.readouterr().err


def test_other_threads_are_never_stopped() -> None:
    seen: list[bool] = []

    def work() -> None:
        with stopping_on_interrupt() as stop:
            seen.append(stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
