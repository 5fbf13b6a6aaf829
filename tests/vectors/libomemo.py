"""A device of libomemo-c (Debian package libomemo-c0, a black box here), as another oracle for live.py.

It is the C code under profanity, Dino and others, and speaks both profiles: version 3 is legacy, version 4 OMEMO 2. Its
primitives are filled in from Python's hmac and hashlib and from the packages of generate.py.
"""

import hashlib
import hmac

import cffi
import xeddsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from generate import ENTROPY, Legacy

ffi = cffi.FFI()
ffi.cdef("""
typedef struct { const char *name; size_t name_len; int32_t device_id; } address;
typedef struct {
    int (*random)(uint8_t *, size_t, void *);
    int (*hmac_init)(void **, const uint8_t *, size_t, void *);
    int (*hmac_update)(void *, const uint8_t *, size_t, void *);
    int (*hmac_final)(void *, void **, void *);
    void (*hmac_cleanup)(void *, void *);
    int (*sha_init)(void **, void *);
    int (*sha_update)(void *, const uint8_t *, size_t, void *);
    int (*sha_final)(void *, void **, void *);
    void (*sha_cleanup)(void *, void *);
    int (*encrypt)(void **, int, const uint8_t *, size_t, const uint8_t *, size_t, const uint8_t *, size_t, void *);
    int (*decrypt)(void **, int, const uint8_t *, size_t, const uint8_t *, size_t, const uint8_t *, size_t, void *);
    void *user;
} provider;
typedef struct {
    int (*load)(void **, void **, const address *, void *);
    int (*sub_devices)(void **, const char *, size_t, void *);
    int (*store)(const address *, uint8_t *, size_t, uint8_t *, size_t, void *);
    int (*contains)(const address *, void *);
    int (*remove)(const address *, void *);
    int (*remove_all)(const char *, size_t, void *);
    void (*destroy)(void *);
    void *user;
} session_store;
typedef struct {
    int (*load)(void **, uint32_t, void *);
    int (*store)(uint32_t, uint8_t *, size_t, void *);
    int (*contains)(uint32_t, void *);
    int (*remove)(uint32_t, void *);
    void (*destroy)(void *);
    void *user;
} key_store;
typedef struct {
    int (*pair)(void **, void **, void *);
    int (*registration_id)(void *, uint32_t *);
    int (*save)(const address *, uint8_t *, size_t, void *);
    int (*trusted)(const address *, uint8_t *, size_t, void *);
    void (*destroy)(void *);
    void *user;
} identity_store;

void *signal_buffer_create(const uint8_t *, size_t);
uint8_t *signal_buffer_data(void *);
size_t signal_buffer_len(const void *);
int signal_context_create(void **, void *);
int signal_context_set_crypto_provider(void *, const provider *);
int signal_protocol_store_context_create(void **, void *);
int signal_protocol_store_context_set_session_store(void *, const session_store *);
int signal_protocol_store_context_set_pre_key_store(void *, const key_store *);
int signal_protocol_store_context_set_signed_pre_key_store(void *, const key_store *);
int signal_protocol_store_context_set_identity_key_store(void *, const identity_store *);
int curve_decode_point(void **, const uint8_t *, size_t, void *);
int curve_decode_point_ed(void **, const uint8_t *, size_t, void *);
int curve_decode_point_mont(void **, const uint8_t *, size_t, void *);
int curve_decode_private_point(void **, const uint8_t *, size_t, void *);
int curve_generate_public_key(void **, const void *);
int ec_public_key_serialize(void **, const void *);
void *ec_public_key_get_ed(const void *);
int ec_key_pair_create(void **, void *, void *);
int curve_calculate_signature(void *, void **, const void *, const uint8_t *, size_t);
int session_pre_key_create(void **, uint32_t, void *);
int session_pre_key_serialize(void **, const void *);
int session_signed_pre_key_create(void **, uint32_t, uint64_t, void *, const uint8_t *, size_t, const uint8_t *, size_t);
int session_signed_pre_key_serialize(void **, const void *);
int session_pre_key_bundle_create(void **, uint32_t, int, uint32_t, void *, uint32_t, void *, const uint8_t *, size_t, void *);
int session_builder_create(void **, void *, const address *, void *);
void session_builder_set_version(void *, uint32_t);
int session_builder_process_pre_key_bundle(void *, void *);
int session_cipher_create(void **, void *, const address *, void *);
void session_cipher_set_version(void *, uint32_t);
int session_cipher_encrypt(void *, const uint8_t *, size_t, void **);
int ciphertext_message_get_type(const void *);
void *ciphertext_message_get_serialized(const void *);
int pre_key_signal_message_deserialize(void **, const uint8_t *, size_t, void *);
int pre_key_signal_message_deserialize_omemo(void **, const uint8_t *, size_t, uint32_t, void *);
int signal_message_deserialize(void **, const uint8_t *, size_t, void *);
int signal_message_deserialize_omemo(void **, const uint8_t *, size_t, void *);
int session_cipher_decrypt_pre_key_signal_message(void *, void *, void *, void **);
int session_cipher_decrypt_signal_message(void *, void *, void *, void **);
""")
PREKEY_TYPE = 3
INVALID_KEY_ID = -1003


def bind(library):
    """Loads the library by name or path."""
    global lib
    lib = ffi.dlopen(library)


def check(result):
    assert result >= 0, f"libomemo-c says {result}"
    return result


def made(function, *arguments):
    """Calls a function that returns an object through its first parameter."""
    out = ffi.new("void **")
    check(function(out, *arguments))
    return out[0]


def read(buffer):
    return ffi.buffer(lib.signal_buffer_data(buffer), lib.signal_buffer_len(buffer))[:]


def cbc(key, iv):
    return Cipher(algorithms.AES(key), modes.CBC(iv))


class Libomemo:
    """One device with one prekey, and its session with the other party."""

    def __init__(self, profile, device_id, sign):
        self.legacy, self.version = profile is Legacy, 3 if profile is Legacy else 4
        self.device_id, self.kept, self.running = device_id, [], {}
        while True:
            self.identity = xeddsa.seed_to_priv(ENTROPY.draw(32))
            if xeddsa.priv_to_ed25519_pub(self.identity)[31] >> 7 == sign:
                break
        self.sessions, self.prekeys, self.signed_prekeys = {}, {}, {}
        self.context = made(lib.signal_context_create, ffi.NULL)
        check(lib.signal_context_set_crypto_provider(self.context, self.provider()))
        self.store = made(lib.signal_protocol_store_context_create, self.context)
        self.install_stores()
        self.generate_keys()

    def callback(self, signature, function):
        kept = ffi.callback(signature, function)
        self.kept.append(kept)
        return kept

    def structure(self, name, functions):
        value = ffi.new(f"{name} *")
        for field, function in functions.items():
            kind = dict(ffi.typeof(name).fields)[field].type
            setattr(value, field, self.callback(kind, function))
        self.kept.append(value)
        return value

    def give(self, out, data):
        out[0] = lib.signal_buffer_create(data, len(data))
        return 0

    def begin(self, out, running):
        handle = ffi.new_handle(running)
        self.running[handle] = running
        out[0] = handle
        return 0

    def provider(self):
        take = lambda pointer, length: ffi.buffer(pointer, length)[:]

        def fill(data, length, _):
            ffi.memmove(data, ENTROPY.draw(length), length)
            return 0

        def update(handle, data, length, _):
            ffi.from_handle(handle).update(take(data, length))
            return 0

        def encrypt(out, _, key, key_length, iv, iv_length, data, length, _user):
            padder, cipher = PKCS7(128).padder(), cbc(take(key, key_length), take(iv, iv_length)).encryptor()
            return self.give(out, cipher.update(padder.update(take(data, length)) + padder.finalize()))

        def decrypt(out, _, key, key_length, iv, iv_length, data, length, _user):
            unpadder, cipher = PKCS7(128).unpadder(), cbc(take(key, key_length), take(iv, iv_length)).decryptor()
            return self.give(out, unpadder.update(cipher.update(take(data, length))) + unpadder.finalize())

        final = lambda handle, out, _: self.give(out, ffi.from_handle(handle).digest())
        cleanup = lambda handle, _: None
        return self.structure("provider", {
            "random": fill,
            "hmac_init": lambda out, key, length, _: self.begin(
                out, hmac.new(take(key, length), digestmod=hashlib.sha256)
            ),
            "hmac_update": update,
            "hmac_final": final,
            "hmac_cleanup": cleanup,
            "sha_init": lambda out, _: self.begin(out, hashlib.sha512()),
            "sha_update": update,
            "sha_final": final,
            "sha_cleanup": cleanup,
            "encrypt": encrypt,
            "decrypt": decrypt,
        })

    def install_stores(self):
        def load_session(record, _user_record, _address, _):
            return 0 if 0 not in self.sessions else 1 + self.give(record, self.sessions[0])

        def store_session(_address, record, length, _user, _user_length, _):
            self.sessions[0] = ffi.buffer(record, length)[:]
            return 0

        self.check_store("session", self.structure("session_store", {
            "load": load_session,
            "store": store_session,
            "contains": lambda _address, _: int(0 in self.sessions),
        }))
        for name, keys in (("pre_key", self.prekeys), ("signed_pre_key", self.signed_prekeys)):
            self.check_store(name, self.structure("key_store", {
                "load": lambda out, number, _, keys=keys: (
                    self.give(out, keys[number]) if number in keys else INVALID_KEY_ID
                ),
                "contains": lambda number, _, keys=keys: int(number in keys),
                "remove": lambda number, _, keys=keys: 0 * len(keys.pop(number, b"")),
            }))
        self.check_store("identity_key", self.structure("identity_store", {
            "pair": lambda public, private, _: (
                self.give(public, self.serialized(self.public(self.identity))) or self.give(private, self.identity)
            ),
            "registration_id": lambda _, out: out.__setitem__(0, self.device_id) or 0,
            "save": lambda _address, _key, _length, _: 0,
            "trusted": lambda _address, _key, _length, _: 1,
        }))

    def check_store(self, name, store):
        check(getattr(lib, f"signal_protocol_store_context_set_{name}_store")(self.store, store))

    def public(self, private):
        return made(lib.curve_generate_public_key, self.private(private))

    def private(self, private):
        return made(lib.curve_decode_private_point, private, 32, self.context)

    def serialized(self, public):
        return read(made(lib.ec_public_key_serialize, public))

    def generate_keys(self):
        clamp = lambda key: bytes([key[0] & 248]) + key[1:31] + bytes([key[31] & 127 | 64])
        self.signed_private, self.prekey_private = clamp(ENTROPY.draw(32)), clamp(ENTROPY.draw(32))
        pair = lambda private: made(lib.ec_key_pair_create, self.public(private), self.private(private))
        typed = self.serialized(self.public(self.signed_private))
        # The library's own variant of XEdDSA for legacy; plain Ed25519 for OMEMO 2.
        legacy = read(made(
            lambda out, *rest: lib.curve_calculate_signature(self.context, out, *rest),
            self.private(self.identity), typed, len(typed),
        ))
        # The library knows X25519 identities only and gives their Ed25519 form sign 0, as the published XEdDSA does.
        plain = xeddsa.ed25519_priv_sign(xeddsa.priv_force_sign(self.identity, False), typed[1:])
        self.signature = legacy if self.legacy else plain
        signed = made(
            lib.session_signed_pre_key_create, 1, 0, pair(self.signed_private), legacy, 64, plain, 64
        )
        self.signed_prekeys[1] = read(made(lib.session_signed_pre_key_serialize, signed))
        prekey = made(lib.session_pre_key_create, 7, pair(self.prekey_private))
        self.prekeys[7] = read(made(lib.session_pre_key_serialize, prekey))

    def published(self):
        written = lambda private: self.serialized(self.public(private))[0 if self.legacy else 1:].hex()
        ed25519 = read(lib.ec_public_key_get_ed(self.public(self.identity))).hex()
        return {
            "identity_key": written(self.identity) if self.legacy else ed25519,
            "signed_prekey": [1, written(self.signed_private)],
            "signature": self.signature.hex(),
            "prekeys": [[7, written(self.prekey_private)]],
        }

    async def prepare(self):
        pass

    def meet(self, bundle):
        self.peer, self.name = bundle, ffi.new("char[]", b"us")
        self.address = ffi.new("address *", (self.name, 2, bundle["device_id"]))
        self.cipher = made(lib.session_cipher_create, self.store, self.address, self.context)
        lib.session_cipher_set_version(self.cipher, self.version)

    def start(self):
        decode = lib.curve_decode_point if self.legacy else lib.curve_decode_point_mont
        point = lambda text, decode=decode: made(decode, bytes.fromhex(text), len(text) // 2, self.context)
        identity = point(self.peer["identity_key"], decode if self.legacy else lib.curve_decode_point_ed)
        (number, key), signature = self.peer["prekeys"][0], bytes.fromhex(self.peer["signature"])
        bundle = made(
            lib.session_pre_key_bundle_create, self.peer["device_id"], self.peer["device_id"], number, point(key),
            self.peer["signed_prekey"][0], point(self.peer["signed_prekey"][1]), signature, 64, identity,
        )
        builder = made(lib.session_builder_create, self.store, self.address, self.context)
        lib.session_builder_set_version(builder, self.version)
        check(lib.session_builder_process_pre_key_bundle(builder, bundle))

    async def send(self):
        if not self.sessions:
            self.start()
        material = ENTROPY.draw(32 if self.legacy else 48)
        message = made(lambda out: lib.session_cipher_encrypt(self.cipher, material, len(material), out))
        wire = read(lib.ciphertext_message_get_serialized(message))
        return material, wire, lib.ciphertext_message_get_type(message) == PREKEY_TYPE

    async def receive(self, wire, exchange):
        if exchange:
            message = (
                made(lib.pre_key_signal_message_deserialize, wire, len(wire), self.context) if self.legacy
                else made(
                    lib.pre_key_signal_message_deserialize_omemo, wire, len(wire), self.peer["device_id"], self.context
                )
            )
            decrypt = lib.session_cipher_decrypt_pre_key_signal_message
        else:
            parse = lib.signal_message_deserialize if self.legacy else lib.signal_message_deserialize_omemo
            message = made(parse, wire, len(wire), self.context)
            decrypt = lib.session_cipher_decrypt_signal_message
        return read(made(lambda out: decrypt(self.cipher, message, ffi.NULL, out)))
