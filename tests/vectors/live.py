#!/usr/bin/env python3
"""Random conversations between our crate and the oracle packages of generate.py, live and in both roles.

    cargo build -p waxwing-crypto --features e2e --example omemo_peer
    venv/bin/python live.py target/debug/examples/omemo_peer [first seed] [number of seeds]

Every message that arrives must decrypt to what was sent, in whatever order it arrives, and not a second time.
"""

import argparse
import asyncio
import json
import random
import subprocess

import generate
from generate import ENTROPY, Legacy, Omemo2, Party


class Ours:
    """Our device, in a process of its own."""

    def __init__(self, binary, profile, seed):
        name = "legacy" if profile is Legacy else "omemo2"
        self.process = subprocess.Popen(
            [binary, name, str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait() == 0


class Name:
    """What the oracle's party needs to know of the peer: its address, device id and identity key in Ed25519 form."""

    def __init__(self, profile, bundle):
        self.name, self.device_id = "us@north.example", bundle["device_id"]
        identity = bytes.fromhex(bundle["identity_key"])
        # Our keys always have sign 0.
        curve = profile is Legacy
        self.identity_key = (
            generate.xeddsa.curve25519_pub_to_ed25519_pub(identity[1:], False) if curve else identity
        )
        strip = (lambda key: bytes.fromhex(key)[1:]) if curve else bytes.fromhex
        ids = {strip(key): number for number, key in bundle["prekeys"]}
        keys = generate.x3dh.Bundle(
            self.identity_key, strip(bundle["signed_prekey"][1]), bytes.fromhex(bundle["signature"]), frozenset(ids)
        )
        self.bundle = profile.module.BundleImpl(
            self.name, self.device_id, keys, bundle["signed_prekey"][0], ids
        )


async def run(binary, profile, seed):
    chance = random.Random(seed)
    ENTROPY.restart(f"live {profile.__name__} {seed}")
    ours = Ours(binary, profile, seed)
    theirs = Party(profile, "them@south.example", 2222, chance.randrange(2))
    await theirs.prepare()
    us = Name(profile, ours.ask(do="bundle"))
    description = (await theirs.describe())["bundle"]
    we_begin = chance.random() < 0.5
    if we_begin:
        (prekey_id,) = theirs.bundle.pre_key_ids.values()
        bundle = {
            "identity_key": description["identity_key"],
            "signed_prekey": [theirs.bundle.signed_pre_key_id, description["signed_prekey"]],
            "signature": description["signature"],
            "prekeys": [[prekey_id, description["prekey"]]],
        }
        ours.ask(do="start", bundle=bundle)

    in_flight, we_can, they_can, delivered_count = [], we_begin, not we_begin, 0
    for _ in range(chance.randrange(20, 120)):
        if chance.random() < 0.55:
            from_us = we_can if we_can != they_can else chance.random() < 0.5
            if from_us:
                material = ENTROPY.draw(32 if profile is Legacy else 48)
                sent = ours.ask(do="encrypt", key_material=material.hex())
                in_flight.append((True, bytes.fromhex(sent["wire"]), sent["key_exchange"], material))
            else:
                _, plain = await theirs.backend.encrypt_plaintext(b"text")
                wire, exchange = await theirs.send(us, plain)
                in_flight.append((False, wire, exchange, plain.key + plain.auth_tag))
        elif in_flight:
            from_us, wire, exchange, material = in_flight.pop(chance.randrange(len(in_flight)))
            if chance.random() < 0.05:
                continue  # lost
            if from_us:
                # An oracle without a session needs the exchange; ours repeats it until it has an answer.
                received = await theirs.receive(us, wire, exchange)
                assert received.key + received.auth_tag == material
                they_can = True
            else:
                got = ours.ask(do="decrypt", wire=wire.hex(), key_exchange=exchange)
                assert got == {"key_material": material.hex()}, got
                again = ours.ask(do="decrypt", wire=wire.hex(), key_exchange=exchange)
                assert "error" in again, "a repetition was accepted"
                we_can = True
            delivered_count += 1
    ours.close()
    return delivered_count


async def main():
    parser = argparse.ArgumentParser(description="Random conversations with the oracle.")
    parser.add_argument("binary")
    parser.add_argument("first", nargs="?", type=int, default=1)
    parser.add_argument("count", nargs="?", type=int, default=20)
    options = parser.parse_args()
    total = 0
    for profile in (Legacy, Omemo2):
        for seed in range(options.first, options.first + options.count):
            total += await run(options.binary, profile, seed)
    print(f"{total} messages delivered in {2 * options.count} conversations")


if __name__ == "__main__":
    asyncio.run(main())
