"""What keeps the product from starting, said in one line that tells what to do."""


class CannotStart(Exception):
    """The text is for a person: what is wrong and what to do about it, on one line."""
