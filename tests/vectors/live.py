#!/usr/bin/env python3
"""Random conversations between our crate and independent implementations, live and in both roles.

    cargo build -p waxwing-crypto --features e2e --example omemo_peer
    venv/bin/python live.py target/debug/examples/omemo_peer
    venv/bin/python live.py target/debug/examples/omemo_peer --libomemo libomemo-c.so.0

The first uses the packages of generate.py, the second libomemo-c (see libomemo.py).

Every message that arrives must decrypt to what was sent, in whatever order it arrives, and not a second time.
"""

import argparse
import asyncio
import json
import random
import subprocess

import x3dh
import xeddsa

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


class Packages:
    """A device of the packages of generate.py."""

    def __init__(self, profile, device_id, sign):
        self.profile, self.party = profile, Party(profile, "them@south.example", device_id, sign)

    async def prepare(self):
        await self.party.prepare()
        self.description = (await self.party.describe())["bundle"]

    def published(self):
        (prekey_id,) = self.party.bundle.pre_key_ids.values()
        return {
            "identity_key": self.description["identity_key"],
            "signed_prekey": [self.party.bundle.signed_pre_key_id, self.description["signed_prekey"]],
            "signature": self.description["signature"],
            "prekeys": [[prekey_id, self.description["prekey"]]],
        }

    def meet(self, bundle):
        """Takes note of our published bundle."""
        self.name, self.device_id = "us@north.example", bundle["device_id"]
        identity = bytes.fromhex(bundle["identity_key"])
        curve = self.profile is Legacy
        # Our keys always have sign 0.
        self.identity_key = xeddsa.curve25519_pub_to_ed25519_pub(identity[1:], False) if curve else identity
        strip = (lambda key: bytes.fromhex(key)[1:]) if curve else bytes.fromhex
        ids = {strip(key): number for number, key in bundle["prekeys"]}
        keys = x3dh.Bundle(
            self.identity_key, strip(bundle["signed_prekey"][1]), bytes.fromhex(bundle["signature"]), frozenset(ids)
        )
        self.bundle = self.profile.module.BundleImpl(
            self.name, self.device_id, keys, bundle["signed_prekey"][0], ids
        )

    async def send(self):
        _, plain = await self.party.backend.encrypt_plaintext(b"text")
        wire, exchange = await self.party.send(self, plain)
        return plain.key + plain.auth_tag, wire, exchange

    async def receive(self, wire, exchange):
        received = await self.party.receive(self, wire, exchange)
        return received.key + received.auth_tag


async def run(binary, oracle, profile, seed):
    chance = random.Random(seed)
    ENTROPY.restart(f"live {profile.__name__} {seed}")
    ours = Ours(binary, profile, seed)
    theirs = oracle(profile, 2222, chance.randrange(2))
    await theirs.prepare()
    theirs.meet(ours.ask(do="bundle"))
    we_begin = chance.random() < 0.5
    if we_begin:
        ours.ask(do="start", bundle=theirs.published())

    in_flight, we_can, they_can, delivered_count = [], we_begin, not we_begin, 0
    for _ in range(chance.randrange(20, 120)):
        if chance.random() < 0.55:
            from_us = we_can if we_can != they_can else chance.random() < 0.5
            if from_us:
                material = ENTROPY.draw(32 if profile is Legacy else 48)
                sent = ours.ask(do="encrypt", key_material=material.hex())
                in_flight.append((True, material, bytes.fromhex(sent["wire"]), sent["key_exchange"]))
            else:
                in_flight.append((False, *await theirs.send()))
        elif in_flight:
            from_us, material, wire, exchange = in_flight.pop(chance.randrange(len(in_flight)))
            if chance.random() < 0.05:
                continue  # lost
            if from_us:
                assert await theirs.receive(wire, exchange) == material
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
    parser = argparse.ArgumentParser(description="Random conversations with an oracle.")
    parser.add_argument("binary", help="the built example omemo_peer")
    parser.add_argument("--libomemo", metavar="LIBRARY", help="use libomemo-c instead of the Python packages")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=20, help="how many seeds")
    options = parser.parse_args()
    oracle = Packages
    if options.libomemo:
        import libomemo
        libomemo.bind(options.libomemo)
        oracle = libomemo.Libomemo
    total = 0
    for profile in (Legacy, Omemo2):
        for seed in range(options.first, options.first + options.count):
            total += await run(options.binary, oracle, profile, seed)
    print(f"{total} messages delivered in {2 * options.count} conversations")


if __name__ == "__main__":
    asyncio.run(main())
