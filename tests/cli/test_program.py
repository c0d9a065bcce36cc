"""Exit codes, and the sentence at the end of what went wrong."""

import signal

import pytest

from jaxfer.cli.program import run
from jaxfer.errors import Interrupted, UserError


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (UserError("the folder [bold]x[/bold] is empty: pass another"), 2, "error: the folder [bold]x[/bold] is empty"),
        (Interrupted(7, signal.SIGTERM), 143, "stopped by SIGTERM after step 7, all of it saved."),
        (Interrupted(7, signal.SIGINT), 130, "stopped by SIGINT after step 7, all of it saved."),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_a_program_ends_with_one_sentence_and_its_code(raised, code, words, capsys):
    def main():
        raise raised

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == code
    assert capsys.readouterr().err.startswith(words)


def test_errors_of_our_own_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 // 0)
