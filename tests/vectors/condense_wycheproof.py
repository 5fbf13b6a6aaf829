#!/usr/bin/env python3
"""Condenses two files of Project Wycheproof (https://github.com/C2SP/wycheproof, Apache-2.0) into wycheproof.json.

    condense_wycheproof.py testvectors_v1/ed25519_test.json testvectors_v1/x25519_test.json

Kept is what a test needs: keys, messages, signatures, results and flags. All bytes are hex.
"""

import json
import pathlib
import sys

ed25519, x25519 = (json.loads(pathlib.Path(path).read_text()) for path in sys.argv[1:])
condensed = {
    "source": "Project Wycheproof, testvectors_v1/ed25519_test.json and x25519_test.json, Apache-2.0",
    "ed25519": [
        [test["tcId"], group["publicKey"]["pk"], test["msg"], test["sig"], test["result"] == "valid"]
        for group in ed25519["testGroups"]
        for test in group["tests"]
    ],
    "x25519": [
        [test["tcId"], test["public"], test["private"], test["shared"], test["flags"]]
        for group in x25519["testGroups"]
        for test in group["tests"]
    ],
}
lines = json.dumps(condensed).replace("[[", "[\n[").replace("], [", "],\n[")
(pathlib.Path(__file__).parent / "wycheproof.json").write_text(lines + "\n")
