"""Tests a SignalR server with pysignalr and signalrcore:

    pip install -r requirements.txt && python run.py http://127.0.0.1:5001

Left out by default is signalrcore's long polling, which loses answers, ASP.NET Core's too (`--over lp`).
EXPECT_WRONGLY=1 makes every expectation a wrong one: what passes then checks nothing.
"""

import argparse
import os
import urllib.request

import with_pysignalr
import with_signalrcore

parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("--over", default=os.environ.get("SIGNALR_OVER") or "ws,ws-skip,sse", help="ws,ws-skip,sse,lp")
parser.add_argument("--auth", action="store_true", help="with the checks that need /spec-auth and /token")
arguments = parser.parse_args()
url = arguments.url.rstrip("/")
tokens = {}
if arguments.auth:
    for role in ("guest", "admin"):
        query = f"user=ann&role={role}"
        tokens[role] = urllib.request.urlopen(f"{url}/token?{query}").read().decode().strip('"')
else:
    print("left out: what needs tokens (--auth)")
over = arguments.over.split(",")
groups = [*with_pysignalr.main(url, tokens)] if "ws" in over else []
groups += with_signalrcore.main(url, tokens, over)
passed, failed = sum(one.passed for one in groups), sum(one.failed for one in groups)
print(f"{passed} passed, {failed} failed", flush=True)
# Threads of signalrcore may still wait for a socket.
os._exit(0 if passed and not failed else 1)
