"""How a verb ends that cannot be done."""


class Refused(Exception):
    """The text is one line for a person: why, and what to do. The command ends with code 1."""
