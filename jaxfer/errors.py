"""The one exception that users of jaxfer are meant to read."""


class UserError(ValueError):
    """Something the person at the keyboard can fix.

    Its message is one or a few plain sentences: what is wrong, where, and what to do about it. Programs that
    start from a command line print the message alone and exit with status 2; see `jaxfer.cli.run`.
    """
