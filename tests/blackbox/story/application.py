"""An application process: it asks the flag for every customer whenever it changes, and says who saw what.

Run as `python application.py URL KEY FLAG CUSTOMERS BUILD`; each line on standard output is a JSON list of the
customers who see the new page. It ends when standard input does, and what it served is reported before that.
"""

import json
import sys
import threading

from greenroom import Client, Options


def main(url: str, key: str, flag: str, customers: str, build: str) -> None:
    changed = threading.Event()
    with Client(url, key, Options(application="shop", version="2", build=build)) as client:
        client.wait_ready(20)
        client.on_change(lambda _: changed.set())
        threading.Thread(target=_end, args=(changed,), daemon=True).start()
        while not _ENDS.is_set():
            changed.clear()
            contexts = [{"targetingKey": f"customer-{number}"} for number in range(int(customers))]
            lit = [number for number, context in enumerate(contexts) if client.bool_value(flag, False, context)]
            print(json.dumps(lit), flush=True)
            changed.wait()


_ENDS = threading.Event()


def _end(changed: threading.Event) -> None:
    sys.stdin.read()
    _ENDS.set()
    changed.set()


if __name__ == "__main__":
    main(*sys.argv[1:])
