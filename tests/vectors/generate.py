#!/usr/bin/env python3
"""Makes the OMEMO vectors in this directory with independent implementations.

    python3 -m venv venv && venv/bin/pip install omemo 'oldmemo[xml]' 'twomemo[xml]'
    venv/bin/python generate.py            # writes xeddsa.json, legacy.json, omemo2.json

The packages (MIT) are the oracle: twomemo and oldmemo on doubleratchet, x3dh and xeddsa. All randomness is replaced by a
seeded sequence and recorded, so that the output is reproducible and a test can play either party with the same private
keys: it must then decrypt what the oracle sent, and send the oracle's bytes.

A conversation file holds a list of conversations. Each has two parties with their private keys (`ratchets` in the order
of use; for the initiator `ephemeral` comes before them), the X3DH secret, and `steps`: `send` (who, the key material, the
bytes of the key element and whether they are a key exchange) and `deliver` (the index of a send). All bytes are hex.
"""

import asyncio
import hashlib
import json
import pathlib
import secrets
import time

import doubleratchet
import oldmemo
import oldmemo.oldmemo
import twomemo
import twomemo.twomemo
import x3dh
import xeddsa
from doubleratchet.recommended import diffie_hellman_ratchet_curve25519
from omemo.storage import Just, Nothing, Storage

HERE = pathlib.Path(__file__).parent


class Entropy:
    """SHA-256(label, counter): reproducible, and every draw is kept."""

    def __init__(self):
        self.label, self.counter, self.drawn = "", 0, []

    def restart(self, label):
        self.label, self.counter, self.drawn = label, 0, []

    def draw(self, length):
        out = b""
        while len(out) < length:
            out += hashlib.sha256(f"{self.label} {self.counter}".encode()).digest()
            self.counter += 1
        self.drawn.append(out[:length])
        return out[:length]


ENTROPY = Entropy()
secrets.token_bytes = lambda length=32: ENTROPY.draw(length)
time.time = lambda: 1_800_000_000
diffie_hellman_ratchet_curve25519.DiffieHellmanRatchet._generate_priv = staticmethod(lambda: ENTROPY.draw(32))


class Memory(Storage):
    """A storage that forgets."""

    def __init__(self):
        super().__init__()
        self.rows = {}

    async def _load(self, key):
        return Just(self.rows[key]) if key in self.rows else Nothing()

    async def _store(self, key, value):
        self.rows[key] = value

    async def _delete(self, key):
        self.rows.pop(key, None)


def seed_with_sign(sign):
    """A seed whose Ed25519 public key has the given sign bit."""
    while True:
        seed = ENTROPY.draw(32)
        if xeddsa.seed_to_ed25519_pub(seed)[31] >> 7 == sign:
            return seed


class Legacy:
    module, backend, state = oldmemo.oldmemo, oldmemo.oldmemo.Oldmemo, oldmemo.oldmemo.StateImpl

    @classmethod
    def prekey(cls, public):
        return cls.state.serialize_public_key(public)

    @classmethod
    def identity(cls, public):
        return cls.state.serialize_public_key(xeddsa.ed25519_pub_to_curve25519_pub(public))

    @staticmethod
    def signature(signature, identity):
        # libsignal's variant: the sign of the public key travels in the signature.
        return signature[:63] + bytes([signature[63] | identity[31] & 0x80])

    @classmethod
    def exchange(cls, session, message):
        return session.key_exchange.serialize(message)[0]

    @classmethod
    def parse_exchange(cls, wire, sender):
        return cls.module.KeyExchangeImpl.parse(wire, bool(sender.identity_key[31] >> 7))


class Omemo2:
    module, backend, state = twomemo.twomemo, twomemo.twomemo.Twomemo, twomemo.twomemo.StateImpl

    @staticmethod
    def prekey(public):
        return public

    @staticmethod
    def identity(public):
        return public

    @staticmethod
    def signature(signature, _identity):
        return signature

    @staticmethod
    def exchange(session, message):
        return session.key_exchange.serialize(message)

    @classmethod
    def parse_exchange(cls, wire, _sender):
        return cls.module.KeyExchangeImpl.parse(wire)


class Party:
    """One device of the oracle with one prekey, and its session with the other party."""

    def __init__(self, profile, name, device_id, sign):
        self.profile, self.name, self.device_id = profile, name, device_id
        self.storage, self.session, self.ratchets = Memory(), None, []
        self.seed = seed_with_sign(sign)
        self.identity_key = xeddsa.seed_to_ed25519_pub(self.seed)

    async def prepare(self):
        await self.storage.store("/ikp/is_seed", True)
        await self.storage.store_bytes("/ikp/key", self.seed)
        self.backend = self.profile.backend(self.storage)
        await self.backend.generate_pre_keys(1)
        self.bundle = await self.backend.get_bundle(self.name, self.device_id)

    def note_ratchet(self):
        private = self.session.double_ratchet.model.diffie_hellman_ratchet.own_ratchet_priv
        if not self.ratchets or self.ratchets[-1] != private:
            self.ratchets.append(private)

    async def state(self):
        row = (await self.storage.load(f"/{self.backend.namespace}/x3dh")).from_just()
        decode = lambda text: bytes(map(ord, text))
        return {
            "signed_prekey": decode(row["signed_pre_key"]["priv"]),
            "prekey": decode(row["pre_keys"][0]),
        }

    async def describe(self):
        bundle, private = self.bundle, await self.state()
        (prekey, prekey_id), = bundle.pre_key_ids.items()
        return {
            "device_id": self.device_id,
            "seed": self.seed.hex(),
            "signed_prekey": {"id": bundle.signed_pre_key_id, "secret": private["signed_prekey"].hex()},
            "prekey": {"id": prekey_id, "secret": private["prekey"].hex()},
            "ratchets": [ratchet.hex() for ratchet in self.ratchets],
            "bundle": {
                "identity_key": self.profile.identity(self.identity_key).hex(),
                "signed_prekey": self.profile.prekey(bundle.bundle.signed_pre_key).hex(),
                "signature": self.profile.signature(bundle.bundle.signed_pre_key_sig, self.identity_key).hex(),
                "prekey": self.profile.prekey(prekey).hex(),
            },
        }

    async def send(self, other, material):
        if self.session is None:
            self.session, encrypted = await self.backend.build_session_active(
                other.name, other.device_id, other.bundle, material
            )
        else:
            encrypted = await self.backend.encrypt_key_material(self.session, material)
        self.note_ratchet()
        wire = encrypted.serialize()
        initiator = self.session.initiation.name == "ACTIVE"
        exchange = initiator and not self.session.confirmed
        return (self.profile.exchange(self.session, wire) if exchange else wire), exchange

    async def receive(self, other, wire, exchange):
        parse = self.profile.module.EncryptedKeyMaterialImpl.parse
        if exchange:
            header, message = self.profile.parse_exchange(wire, other)
            message = parse(message, self.name, self.device_id)
            if self.session is None:
                self.session, material = await self.backend.build_session_passive(
                    other.name, other.device_id, header, message
                )
                self.note_ratchet()
                return material
            assert self.session.key_exchange.builds_same_session(header)
        else:
            message = parse(wire, self.name, self.device_id)
        material = await self.backend.decrypt_key_material(self.session, message)
        self.note_ratchet()
        return material


def record_secrets(state):
    """Keeps what X3DH yields."""
    found = []
    original = state.get_shared_secret_active

    async def recorded(self, *args, **kwargs):
        secret, associated_data, header = await original(self, *args, **kwargs)
        found.append(secret)
        return secret, associated_data, header

    state.get_shared_secret_active = recorded
    return found


# `a` and `b` send, `+n` delivers send number n. Alice always begins; Bob sends second and first within a chain.
SCRIPTS = {
    "in turn": "a +0 b +1 a +2 b +3 a +4 b +5",
    "several before an answer": "a a a +0 +1 +2 b b +3 +4 a a +5 +6 b +7",
    "reordered within chains": "a a a +1 +0 +2 b b b +5 +3 +4 a +6",
    "late from old chains": "a a +0 b b +2 a a +4 b b +6 a +8 b +9 +1 +3 +5 +7",
    "lost first message": "a a a +2 b +3 a +4 +0 +1",
    "long chain": "a +0 " + "b " * 60 + "+60 +30 +1 a +61",
}


async def conversation(profile, title, script, signs, found):
    ENTROPY.restart(f"{profile.__name__} {title} {signs}")
    alice = Party(profile, "alice@north.example", 1111, signs[0])
    bob = Party(profile, "bob@south.example", 2222, signs[1])
    await alice.prepare()
    await bob.prepare()
    found.clear()
    parties, steps, sent, ephemeral = {"a": (alice, bob), "b": (bob, alice)}, [], [], None
    for word in script.split():
        if word in parties:
            sender, receiver = parties[word]
            content, material = await sender.backend.encrypt_plaintext(f"message {len(sent)}".encode())
            mark = len(ENTROPY.drawn)
            first = sender.session is None
            wire, exchange = await sender.send(receiver, material)
            if first:
                ephemeral = ENTROPY.drawn[mark]
            step = {
                "send": word,
                "text": f"message {len(sent)}",
                "key_material": (material.key + material.auth_tag).hex(),
                "ciphertext": content.ciphertext.hex(),
                "wire": wire.hex(),
                "key_exchange": exchange,
            }
            if profile is Legacy:
                step["iv"] = content.initialization_vector.hex()
            sent.append((word, wire, exchange, material))
            steps.append(step)
        else:
            word, wire, exchange, material = sent[int(word)]
            sender, receiver = parties[word]
            received = await receiver.receive(sender, wire, exchange)
            assert (received.key, received.auth_tag) == (material.key, material.auth_tag)
            steps.append({"deliver": [s[1] for s in sent].index(wire)})
    return {
        "title": f"{title}, identity signs {signs[0]} and {signs[1]}",
        "alice": {**await alice.describe(), "ephemeral": ephemeral.hex()},
        "bob": await bob.describe(),
        "x3dh_secret": found[0].hex(),
        "steps": steps,
    }


def xeddsa_vectors():
    ENTROPY.restart("xeddsa")
    vectors = []
    for index in range(8):
        seed, message, nonce = seed_with_sign(index % 2), ENTROPY.draw(1 + 11 * index), ENTROPY.draw(64)
        private, public = xeddsa.seed_to_priv(seed), xeddsa.seed_to_ed25519_pub(seed)
        assert xeddsa.priv_to_ed25519_pub(private) == public
        signature = xeddsa.ed25519_priv_sign(private, message, nonce)
        assert xeddsa.ed25519_verify(signature, public, message)
        vectors.append({
            "seed": seed.hex(),
            "private": private.hex(),
            "ed25519": public.hex(),
            "montgomery": xeddsa.priv_to_curve25519_pub(private).hex(),
            "sign": public[31] >> 7,
            "message": message.hex(),
            "nonce": nonce.hex(),
            "signature": Legacy.signature(signature, public).hex(),
            "ed25519_signature": xeddsa.ed25519_seed_sign(seed, message).hex(),
        })
    return vectors


def write(name, value):
    (HERE / name).write_text(json.dumps(value, indent=1) + "\n")


async def main():
    write("xeddsa.json", xeddsa_vectors())
    for profile, name in ((Legacy, "legacy.json"), (Omemo2, "omemo2.json")):
        found = record_secrets(profile.state)
        conversations = []
        for index, (title, script) in enumerate(SCRIPTS.items()):
            signs = (index & 1, index >> 1 & 1)
            conversations.append(await conversation(profile, title, script, signs, found))
        write(name, conversations)


if __name__ == "__main__":
    asyncio.run(main())
