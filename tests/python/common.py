"""What the program and its clients share."""

NAMESPACE = "default"


class Refused(Exception):
    """The server's answer to a request that it does not carry out."""

    def __init__(self, code, reason, fields=()):
        super().__init__(f"{code} {reason}")
        self.code, self.reason, self.fields = code, reason, sorted(fields)
