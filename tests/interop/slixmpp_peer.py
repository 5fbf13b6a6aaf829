"""A person on slixmpp and slixmpp-omemo, driven by lines of JSON.

Reads commands from standard input, one JSON object a line:
  {"say": {"to": "bob@example.org", "text": "..."}}      an encrypted message
  {"plain": {"to": "bob@example.org", "text": "..."}}    one in clear, to see it refused
  {"subscribe": "bob@example.org"}                        a presence subscription
  {"quit": true}
Writes events to standard output, one JSON object a line:
  {"event": "ready"} {"event": "message", "from": ..., "text": ..., "version": "legacy" | "omemo2"}
  {"event": "error", ...} {"event": "subscribed", ...} {"event": "failed", "why": ...}

slixmpp-omemo has the cryptography of urn:xmpp:omemo:2 but no stanza content encryption (XEP-0420) of its own, so the envelope
is written and read here.
"""

import argparse
import asyncio
import datetime
import json
import ssl
import sys
import xml.etree.ElementTree as ET

import oldmemo
import oldmemo.etree
import omemo
import twomemo
import twomemo.etree
from omemo.storage import Just, Maybe, Nothing, Storage
from slixmpp import JID, ClientXMPP
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.plugins import register_plugin
from slixmpp.xmlstream.handler import CoroutineCallback
from slixmpp.xmlstream.matcher import MatchXPath
from slixmpp_omemo import TrustLevel, XEP_0384

LEGACY = oldmemo.oldmemo.NAMESPACE
OMEMO2 = twomemo.twomemo.NAMESPACE
SCE = "urn:xmpp:sce:1"
VERSIONS = {"legacy": [LEGACY], "omemo2": [OMEMO2], "both": [OMEMO2, LEGACY]}


def say(**event):
    print(json.dumps(event), flush=True)


class Memory(Storage):
    """Nothing outlives the process: each test starts from an empty account."""

    def __init__(self):
        super().__init__()
        self.values = {}

    async def _load(self, key: str) -> Maybe:
        return Just(self.values[key]) if key in self.values else Nothing()

    async def _store(self, key: str, value) -> None:
        self.values[key] = value

    async def _delete(self, key: str) -> None:
        self.values.pop(key, None)


class Encryption(XEP_0384):
    """Trusts blindly, as these clients do before anybody verifies."""

    default_config = {"fallback_message": "This message is encrypted.", "json_file_path": None}
    chosen = VERSIONS["both"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.memory = Memory()

    @property
    def storage(self):
        return self.memory

    @property
    def _btbv_enabled(self):
        return True

    async def _devices_blindly_trusted(self, blindly_trusted, identifier):
        pass

    async def _prompt_manual_trust(self, manually_trusted, identifier):
        manager = await self.get_session_manager()
        for device in manually_trusted:
            await manager.set_trust(device.bare_jid, device.identity_key, TrustLevel.TRUSTED.value)


def restrict(chosen):
    """Leaves only the chosen versions in the session manager."""
    original = omemo.SessionManager.create.__func__

    async def create(cls, backends, *args, **kwargs):
        kept = [backend for backend in backends if backend.namespace in chosen]
        return await original(cls, kept, *args, **kwargs)

    omemo.SessionManager.create = classmethod(create)


def envelope(text, sender, recipient):
    root = ET.Element(f"{{{SCE}}}envelope")
    content = ET.SubElement(root, f"{{{SCE}}}content")
    ET.SubElement(content, "{jabber:client}body").text = text
    ET.SubElement(root, f"{{{SCE}}}rpad").text = "padding"
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    ET.SubElement(root, f"{{{SCE}}}time").set("stamp", now)
    ET.SubElement(root, f"{{{SCE}}}from").set("jid", sender)
    ET.SubElement(root, f"{{{SCE}}}to").set("jid", recipient)
    return ET.tostring(root)


class Peer(ClientXMPP):
    def __init__(self, options):
        super().__init__(options.jid, options.password)
        self.options = options
        self.chosen = VERSIONS[options.versions]
        restrict(self.chosen)
        register_plugin(Encryption)
        for plugin in ("xep_0030", "xep_0060", "xep_0163", "xep_0199", "xep_0380"):
            self.register_plugin(plugin)
        self.register_plugin("xep_0384", module=sys.modules[__name__])
        self.add_event_handler("session_start", self.start)
        # as the documentation of slixmpp-omemo does: the event "message" needs a body, and encrypted messages may have none
        self.register_handler(
            CoroutineCallback("Messages", MatchXPath(f"{{{self.default_ns}}}message"), self.incoming))
        self.add_event_handler("failed_all_auth", lambda _: say(event="failed", why="authentication"))
        self.add_event_handler("connection_failed", lambda why: say(event="failed", why=str(why)))
        self.add_event_handler("changed_subscription", lambda p: say(event="subscription", kind=p["type"], by=p["from"].bare))

    async def start(self, _event):
        self.send_presence()
        await self.get_roster()
        self.encryption = self["xep_0384"]
        await self.encryption.get_session_manager()
        say(event="ready", jid=self.boundjid.full)
        loop = asyncio.get_running_loop()
        # Nothing else holds the reader and so this task: asyncio refers to both weakly.
        reader = self.reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            try:
                await self.command(json.loads(line))
            except Exception as why:  # told to the test, which judges
                say(event="failed", why=f"{type(why).__name__}: {why}")
        self.disconnect()

    async def command(self, command):
        if "say" in command:
            await self.send_encrypted(JID(command["say"]["to"]), command["say"]["text"])
        elif "plain" in command:
            self.send_message(mto=command["plain"]["to"], mbody=command["plain"]["text"], mtype="chat")
        elif "subscribe" in command:
            self.send_presence_subscription(command["subscribe"])
        elif "quit" in command:
            self.disconnect()

    async def send_encrypted(self, to, text):
        manager = await self.encryption.get_session_manager()
        for namespace in self.chosen:
            try:
                await manager.refresh_device_list(namespace, to.bare)
            except omemo.DeviceListDownloadFailed:
                pass
        plaintexts = {LEGACY: text.encode(), OMEMO2: envelope(text, self.boundjid.bare, to.bare)}
        plaintexts = {namespace: plaintexts[namespace] for namespace in self.chosen}
        messages, errors = await manager.encrypt(frozenset({to.bare}), plaintexts, backend_priority_order=self.chosen)
        for error in errors:
            say(event="encryption_error", what=type(error).__name__)
        stanza = self.make_message(mto=to, mtype="chat")
        stanza["body"] = "This message is encrypted."
        stanza.enable("store")
        for message in messages:
            serialise = twomemo.etree if message.namespace == OMEMO2 else oldmemo.etree
            stanza.append(serialise.serialize_message(message))
        stanza.send()
        say(event="sent", text=text)

    async def incoming(self, stanza):
        if stanza["type"] == "error":
            say(event="error", condition=stanza["error"]["condition"], text=stanza["error"]["text"], sender=stanza["from"].bare)
            return
        try:
            await self.decrypt(stanza)
        except Exception as why:  # told to the test, which judges
            say(event="failed", why=f"{type(why).__name__}: {why}")

    async def decrypt(self, stanza):
        manager = await self.encryption.get_session_manager()
        sender = stanza["from"].bare
        for namespace, name in ((OMEMO2, "omemo2"), (LEGACY, "legacy")):
            element = stanza.xml.find(f"{{{namespace}}}encrypted")
            if element is None or namespace not in self.chosen:
                continue
            if namespace == OMEMO2:
                message = twomemo.etree.parse_message(element, sender)
            else:
                message = await oldmemo.etree.parse_message(element, sender, self.boundjid.bare, manager)
            plaintext = (await manager.decrypt(message))[0]
            if plaintext is None:
                say(event="empty", sender=sender, version=name)
                return
            text = plaintext.decode()
            if namespace == OMEMO2:
                root = ET.fromstring(text)
                body = root.find(f"{{{SCE}}}content/{{jabber:client}}body")
                text = body.text if body is not None else None
            say(event="message", sender=sender, text=text, version=name)
            return
        if stanza["body"]:
            say(event="unencrypted", sender=sender, text=stanza["body"])


def main():
    parser = argparse.ArgumentParser()
    for name in ("--jid", "--password", "--host", "--port", "--ca"):
        parser.add_argument(name, required=True)
    parser.add_argument("--versions", choices=VERSIONS, default="both")
    options = parser.parse_args()
    peer = Peer(options)
    peer.ca_certs = options.ca
    peer.enable_direct_tls = False
    peer.connect(options.host, int(options.port))
    peer.loop.run_until_complete(peer.disconnected)


if __name__ == "__main__":
    main()
