"""Who we say that we are, and whom we trust: TLS, users and tokens, put into options that the Kafka clients take."""

from __future__ import annotations

import importlib
import logging
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from kafka.net.sasl.oauth import AbstractTokenProvider

from scrnn_stream.masking import hide

from .kafka_options import HOOK, unknown

logger = logging.getLogger(__name__)

TLS_FILES = ("ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_crlfile")
TLS_OPTIONS = (*TLS_FILES, "ssl_password", "ssl_ciphers", "ssl_check_hostname")
SASL_OPTIONS = ("sasl_mechanism", "sasl_plain_username", "sasl_plain_password", HOOK)
SECRETS = ("sasl_plain_password", "ssl_password")


class KafkaProblem(RuntimeError):
    """Kafka cannot be used as asked; the message is one line that says what is wrong and what to do."""


def secured(options: Mapping[str, Any]) -> dict[str, Any]:
    """The same options with a TLS context in place of files, and a provider of tokens in place of a hook's name.

    Files are read here, once: the client would tell of a missing one with each attempt, and wait for the password of a
    key to be typed in.

    Raises
    ------
    KafkaProblem
        If a file or a hook cannot be used, or something of what is asked for would silently be left out.
    """
    for name in SECRETS:
        hide(options.get(name))
    for name in options:
        if problem := unknown(name):
            raise KafkaProblem(f"{name} {problem}")
    protocol = options.get("security_protocol") or "PLAINTEXT"
    _check_whole(protocol, options)
    result = {name: value for name, value in options.items() if name not in TLS_OPTIONS}
    if protocol.endswith("SSL") and options.get("ssl_context") is None:
        result["ssl_context"] = _tls(options)
    if isinstance(hook := options.get(HOOK), str):
        result[HOOK] = Tokens(hook)
    return result


def _check_whole(protocol: str, options: Mapping[str, Any]) -> None:
    """What was set and has no effect is a mistake: whoever names an authority does not want to go without TLS."""
    mechanism = options.get("sasl_mechanism")
    of_tls = [name for name in (*TLS_FILES, "ssl_password", "ssl_ciphers") if options.get(name) is not None]
    of_sasl = [name for name in SASL_OPTIONS if options.get(name) is not None]
    if of_tls and not protocol.endswith("SSL"):
        raise KafkaProblem(f"{of_tls[0]} is set, and security_protocol {protocol} is without TLS: set SSL or SASL_SSL")
    if of_sasl and not protocol.startswith("SASL"):
        raise KafkaProblem(f"{of_sasl[0]} is set, and security_protocol {protocol} is without SASL: set SASL_SSL")
    if protocol.startswith("SASL"):
        for name in ("sasl_mechanism", *_needed(mechanism)):
            if not options.get(name):
                raise KafkaProblem(f"security_protocol {protocol} needs {name}: set it")
    if protocol == "SASL_PLAINTEXT":
        logger.warning("user and readings go over the network unencrypted: set security_protocol SASL_SSL")


def _needed(mechanism: str | None) -> tuple[str, ...]:
    if mechanism == "OAUTHBEARER":
        return (HOOK,)
    is_by_password = mechanism is not None and (mechanism == "PLAIN" or mechanism.startswith("SCRAM"))
    return ("sasl_plain_username", "sasl_plain_password") if is_by_password else ()


# -- TLS --------------------------------------------------------------------------------------------------------------


def _tls(options: Mapping[str, Any]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the certificate, and that it is for this host
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if options.get("ssl_check_hostname") is False:
        logger.warning("ssl_check_hostname is off: whoever has any certificate of the authority may pass for a broker")
        context.check_hostname = False
    authority, certificate, revoked = (options.get(name) for name in ("ssl_cafile", "ssl_certfile", "ssl_crlfile"))
    if authority:
        _load("ssl_cafile", authority, lambda: context.load_verify_locations(authority))
    else:
        context.load_default_certs()
    if certificate:
        _load("ssl_certfile", certificate, lambda: _load_own(context, options))
    elif options.get("ssl_keyfile"):
        raise KafkaProblem("ssl_keyfile is set without ssl_certfile: set both")
    if revoked:
        _load("ssl_crlfile", revoked, lambda: context.load_verify_locations(revoked))
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    if options.get("ssl_ciphers"):
        try:
            context.set_ciphers(options["ssl_ciphers"])
        except ssl.SSLError:
            raise KafkaProblem(f"ssl_ciphers {options['ssl_ciphers']}: OpenSSL knows none of them") from None
    return context


def _load_own(context: ssl.SSLContext, options: Mapping[str, Any]) -> None:
    def password() -> str:  # where none is given, OpenSSL would ask the terminal
        if options.get("ssl_password") is None:
            raise KafkaProblem("the key of ssl_certfile is encrypted: set ssl_password")
        return str(options["ssl_password"])

    context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"), password)


def _load(option: str, value: str, load: Callable[[], object]) -> None:
    try:
        load()
    except ssl.SSLError as error:
        reason = (error.reason or "no certificate in it").lower().replace("_", " ")
        raise KafkaProblem(
            f"{option} {value}: cannot be used ({reason}); it must be PEM, and key and password fit"
        ) from None
    except OSError as error:
        raise KafkaProblem(f"{option} {value}: cannot be read: {error.strerror}") from None


# -- tokens -----------------------------------------------------------------------------------------------------------


class Tokens(AbstractTokenProvider):  # type: ignore[misc]
    """Tokens of OAUTHBEARER from a function of the user's, asked for one with each new connection.

    Parameters
    ----------
    hook
        ``module:function``; the function takes nothing and returns the token as text.
    """

    def __init__(self, hook: str) -> None:
        self.hook = hook
        module, _, name = hook.partition(":")
        try:
            self._function = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            told = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise KafkaProblem(f"{HOOK} {hook}: cannot be imported ({told}); it is module:function") from None
        if not callable(self._function):
            raise KafkaProblem(f"{HOOK} {hook}: is no function; it is module:function")

    def token(self) -> str:
        """A new one. KafkaProblem if the function fails; its message is not told, it may quote the token."""
        try:
            token = self._function()
        except Exception as error:
            raise KafkaProblem(f"{HOOK} {self.hook} failed with {type(error).__name__}: mend the function") from None
        if not isinstance(token, str) or not token:
            raise KafkaProblem(f"{HOOK} {self.hook} must return text, the token; got {type(token).__name__}")
        hide(token)
        return token
