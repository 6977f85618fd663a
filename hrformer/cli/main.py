"""`hrformer`: one command line for everything; a command's code is loaded when it is called."""

import difflib
import os
import sys
from importlib import import_module
from typing import NamedTuple

from hrformer import __version__


class Command(NamedTuple):
    """Where a command lives and what it does."""

    target: str  # "module:function", which takes the arguments and gives the exit code
    summary: str
    extra: str = ""  # the optional dependencies that it needs, as in `pip install hrformer[extra]`


COMMANDS: dict[str, Command] = {
    "predict": Command("hrformer.cli.predict:main", "keypoints, boxes, masks of pictures, as JSON and drawn"),
    "serve": Command("service.__main__:main", "the HTTP service", "serve"),
    "models": Command("hrformer.cli.models:main", "the models at hand, with their measured quality"),
    "train": Command("hrformer.cli.train:main", "weights from labelled pictures", "train"),
    "scribble": Command("hrformer.cli.scribble:main", "coarse masks from boxes and keypoints", "train"),
    "evaluate": Command("hrformer.cli.evaluate:main", "quality of a model on labelled pictures", "train"),
    "convert": Command("hrformer.cli.convert:main", "a published checkpoint as a model of this program"),
    "verify": Command("hrformer.cli.verify:main", "our networks against reference arrays"),
    "inspect": Command("hrformer.cli.inspect:main", "what a model or a weight file is made of"),
}

OK, ANSWER_IS_NO, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


def main(argv: list[str] | None = None) -> int:
    """Runs a command. Exit codes: 0; 1 it ran and the answer is no; 2 wrong use; 130 interrupted."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return OK if arguments else WRONG_USE
    if arguments[0] in ("-V", "--version"):
        print(f"hrformer {__version__}")
        return OK
    if arguments[0] not in COMMANDS:
        return _complain(unknown(arguments[0]))
    return run(arguments[0], arguments[1:])


def run(name: str, arguments: list[str]) -> int:
    """Calls a command; its errors about input become one line, its defects a trace."""
    command = COMMANDS[name]
    module, _, function = command.target.partition(":")
    try:
        code: int = getattr(import_module(module), function)(arguments)
        sys.stdout.flush()
    except ModuleNotFoundError as error:
        if not command.extra or (error.name or "").split(".")[0] in ("hrformer", "service"):
            raise
        return _complain(f"hrformer {name} needs {error.name}: pip install 'hrformer[{command.extra}]'")
    except BrokenPipeError:
        # Whoever read our output has left, as `head` does; without this Python complains again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ANSWER_IS_NO
    except (ValueError, OSError) as error:
        return _complain(f"hrformer {name}: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return code


def usage() -> str:
    """The commands, one line each."""
    lines = [f"  {name:<10} {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: hrformer COMMAND …",
            "",
            *lines,
            "",
            "hrformer COMMAND --help tells more; --version the version.",
        ]
    )


def unknown(name: str) -> str:
    """What to say about a command that does not exist."""
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
    return f"hrformer: there is no command {name!r}: {hint}"


def _complain(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return WRONG_USE


if __name__ == "__main__":
    sys.exit(main())
