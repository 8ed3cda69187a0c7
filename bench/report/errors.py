"""What the report refuses, with the message that its user reads."""


class ReportError(Exception):
    """The figures and the document do not fit each other."""
