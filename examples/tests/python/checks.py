"""Counts what holds, one line each."""

import os
import traceback

WRONG = bool(os.environ.get("EXPECT_WRONGLY"))
LIMIT = 20
NO_METHOD = "Failed to invoke 'NoSuchMethod' due to an error on the server. HubException: Method does not exist."
HUB_ERROR = "An unexpected error occurred invoking 'ThrowHub' on the server. HubException: as you wish"
OTHER_ERROR = "An unexpected error occurred invoking 'ThrowOther' on the server."
BINDING = "Failed to invoke 'Add' due to an error on the server."
STREAM_ERROR = "An error occurred on the server while streaming results. HubException: no more"
UNAUTHORIZED = "Failed to invoke 'AdminsOnly' because user is unauthorized"
ECHOED = ["", "héllo", "😀👩‍👩‍👧‍👦", "שלום", '"\\/\b\f\n\r\t', "\u0000\u001e\u2028", "x" * 20_000]


class Checks:
    def __init__(self, name):
        self.name = name
        self.passed = 0
        self.failed = 0

    def equal(self, what, got, expected):
        if WRONG:
            expected = "nobody sends this"
        if got == expected and type(got) is type(expected):
            self.passed += 1
            print(f"ok {self.name}: {what}", flush=True)
        else:
            self.failed += 1
            print(f"FAILED {self.name}: {what}: expected {expected!r:.300}, got {got!r:.300}", flush=True)

    def broken(self):
        """The rest of this client could not be tried."""
        self.failed += 1
        print(f"FAILED {self.name}: {traceback.format_exc()}", flush=True)

    def person(self, name, age, friend=None):
        names = ("name", "age", "tags", "friend") if "json" in self.name else ("Name", "Age", "Tags", "Friend")
        return dict(zip(names, (name, age, ["a"], friend)))
