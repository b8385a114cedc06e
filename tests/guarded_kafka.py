"""A real Apache Kafka that lets in whom it knows: TLS, client certificates, SASL, and an authorizer that grants little.

Certificates are made for the run by a certificate authority of its own; another one stands for strangers.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import trustme
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from tests.apache_kafka import ApacheKafka, Listener, quiet_port

USER, STRANGER = "worker", "stranger"  # the second one is let in and may do nothing
PASSWORD = "hunter2, with \u00e9 = and \u2028"  # of both; it must never be seen anywhere
TOPICS = {"sensors": 1, "alerts": 1, "dead-letters": 1, "secrets": 1}
GROUP, TRANSACTIONS = "plant", "plant/"
WAYS = {
    "TLS": "SSL",
    "MUTUAL": "SSL",
    "SASL": "SASL_SSL",
    "OTHER": "SSL",
    "EXPIRED": "SSL",
    "ASTRAY": "SSL",
    "CLEAR": "SASL_PLAINTEXT",
}


class GuardedKafka(ApacheKafka):
    """One broker with a way in for each kind of guard; who comes by the plain one may do everything.

    ``TLS`` asks for nothing, ``MUTUAL`` for a client's certificate, ``SASL`` for a user by PLAIN, SCRAM-SHA-512 or
    OAUTHBEARER, and so does ``CLEAR`` without TLS. ``OTHER`` shows the certificate of another host, ``EXPIRED`` one of
    last year; ``ASTRAY`` sends clients on to a port where nobody is.
    """

    def __init__(self) -> None:
        self._files = tempfile.TemporaryDirectory(prefix="scrnn-stream-certificates-")
        self.files = Path(self._files.name)
        self.ports = {name: quiet_port() for name in WAYS}
        self._make_certificates()
        self.nowhere = quiet_port()
        to = self.ports | {"ASTRAY": self.nowhere}
        ways = [Listener(name, port, to[name], WAYS[name]) for name, port in self.ports.items()]
        super().__init__(listeners=[ways], properties=self._guards())

    def __enter__(self) -> GuardedKafka:
        super().__enter__()
        try:
            self._grant()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self._files.cleanup()

    def way(self, name: str, host: str = "127.0.0.1") -> str:
        """Its address."""
        return f"{host}:{self.ports[name]}"

    def tls(self, **options: Any) -> dict[str, Any]:
        """Options of a client that trusts the right authority."""
        return {"security_protocol": "SSL", "ssl_cafile": str(self.files / "ca.pem"), **options}

    def sasl(self, mechanism: str, user: str = USER, password: str = PASSWORD, **options: Any) -> dict[str, Any]:
        """Options of a client that names a user."""
        who = {"sasl_mechanism": mechanism, "sasl_plain_username": user, "sasl_plain_password": password}
        return self.tls() | {"security_protocol": "SASL_SSL"} | who | options

    # -- certificates -------------------------------------------------------------------------------------------------

    def _make_certificates(self) -> None:
        authority, strange = trustme.CA(key_type=trustme.KeyType.ECDSA), trustme.CA(key_type=trustme.KeyType.ECDSA)
        last_year = dt.datetime.now(dt.UTC) - dt.timedelta(days=400)
        here = ("127.0.0.1", "localhost")
        authority.cert_pem.write_to_path(str(self.files / "ca.pem"))
        strange.cert_pem.write_to_path(str(self.files / "strange-ca.pem"))
        leaves = {
            "server": authority.issue_cert(*here),
            "other": authority.issue_cert("kafka.example.com"),
            "expired": authority.issue_cert(*here, not_before=last_year, not_after=last_year + dt.timedelta(days=1)),
            "client": authority.issue_cert("worker.example.com", common_name=USER),
            "strange": strange.issue_cert("worker.example.com", common_name=USER),
        }
        for name, leaf in leaves.items():
            leaf.private_key_and_cert_chain_pem.write_to_path(str(self.files / f"{name}.pem"))
            leaf.private_key_pem.write_to_path(str(self.files / f"{name}.key"))

    def _store(self, way: str, leaf: str) -> dict[str, str]:
        """The settings of a listener that shows a certificate. Kafka reads keys as PKCS 8 alone."""
        from cryptography.hazmat.primitives import serialization as ser

        key = ser.load_pem_private_key((self.files / f"{leaf}.key").read_bytes(), None)
        pkcs8 = key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption())
        chain = (self.files / f"{leaf}.pem").read_bytes()
        (self.files / f"{leaf}.store").write_bytes(pkcs8 + chain[chain.index(b"-----BEGIN CERTIFICATE") :])
        of = f"listener.name.{way.lower()}.ssl"
        return {
            f"{of}.keystore.type": "PEM",
            f"{of}.keystore.location": str(self.files / f"{leaf}.store"),
            f"{of}.truststore.type": "PEM",
            f"{of}.truststore.location": str(self.files / "ca.pem"),
        }

    # -- who may do what ----------------------------------------------------------------------------------------------

    def _guards(self) -> dict[str, str]:
        guards = {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "listener.name.mutual.ssl.client.auth": "required",
            "ssl.principal.mapping.rules": "RULE:^.*CN=([^,]+).*$/$1/",
        }
        shown = {way: "server" for way, protocol in WAYS.items() if protocol.endswith("SSL")}
        for way, leaf in (shown | {"OTHER": "other", "EXPIRED": "expired"}).items():
            guards |= self._store(way, leaf)
        package, escaped = "org.apache.kafka.common.security", _escaped(PASSWORD)
        known = " ".join(f'user_{user}="{escaped}"' for user in (USER, STRANGER))
        bearer = f'{package}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="{USER}";'
        for way in ("sasl", "clear"):
            of = f"listener.name.{way}"
            guards |= {
                f"{of}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512,OAUTHBEARER",
                f"{of}.plain.sasl.jaas.config": f"{package}.plain.PlainLoginModule required {known};",
                f"{of}.scram-sha-512.sasl.jaas.config": f"{package}.scram.ScramLoginModule required;",
                f"{of}.oauthbearer.sasl.jaas.config": bearer,
                f"{of}.oauthbearer.sasl.server.callback.handler.class": (
                    f"{package}.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler"
                ),
            }
        return guards

    def _grant(self) -> None:
        """Topics, a user by SCRAM, and what that one may do."""
        admin = KafkaAdminClient(bootstrap_servers=self.address)
        try:
            admin.create_topics(
                {name: {"num_partitions": n, "replication_factor": 1} for name, n in TOPICS.items()},
                wait_for_metadata=True,
            )
            admin.create_acls([
                _may(ACLOperation.READ, ResourceType.TOPIC, "sensors"),
                _may(ACLOperation.WRITE, ResourceType.TOPIC, "alerts"),
                _may(ACLOperation.WRITE, ResourceType.TOPIC, "dead-letters"),
                _may(ACLOperation.DESCRIBE, ResourceType.TOPIC, "secrets"),
                _may(ACLOperation.READ, ResourceType.GROUP, GROUP),
                _may(ACLOperation.WRITE, ResourceType.TRANSACTIONAL_ID, "plant/1"),
            ])  # fmt: skip
        finally:
            admin.close()
        self.know()

    def know(self) -> None:
        """The user by SCRAM."""
        self._alter(UserScramCredentialUpsertion(USER, ScramMechanism.SCRAM_SHA_512, PASSWORD.encode(), 4096))

    def forget(self) -> None:
        """Know that user no more."""
        self._alter(UserScramCredentialDeletion(USER, ScramMechanism.SCRAM_SHA_512))

    def _alter(self, alteration: Any) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.address)
        try:
            admin.alter_user_scram_credentials([alteration])
        finally:
            admin.close()


def _may(operation: ACLOperation, kind: ResourceType, name: str) -> ACL:
    return ACL(f"User:{USER}", "*", operation, ACLPermissionType.ALLOW, ResourcePattern(kind, name))


def _escaped(text: str) -> str:
    """For a quoted word of a Java properties file."""
    return "".join(c if c.isascii() else f"\\u{ord(c):04x}" for c in text)


def token(subject: str = USER, valid_s: float = 3600.0) -> str:
    """An unsigned token, as the broker's validator for tests takes it."""
    now = time.time()
    claims = {"sub": subject, "iat": now - 1, "exp": now + valid_s}
    parts = ({"alg": "none"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."
