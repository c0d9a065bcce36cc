"""`python -m jaxfer` and the `jaxfer` command: what Ctrl-C ends in a word from the first import on."""

import sys


def main() -> None:
    """Read the command line, and do what it asks for."""
    try:
        # Imported here, since that can take a second in which people change their minds.
        from jaxfer.cli.main import main
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    main()


if __name__ == "__main__":
    main()
