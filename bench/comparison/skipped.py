"""Why something is not run."""


class Skipped(Exception):
    """A method that is not there, or not for this pattern or machine; its text says why."""
