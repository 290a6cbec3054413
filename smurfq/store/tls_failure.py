"""Recognizes an error of TLS, and describes what is wrong and which setting to change."""

from __future__ import annotations

import ssl

_EXPIRED = 10  # OpenSSL's X509_V_ERR_*
_NOT_YET_VALID = 9
_HOST_MISMATCH = 62
_ADDRESS_MISMATCH = 64


def tls_failure(error: BaseException) -> ssl.SSLError | None:
    """Return the TLS error that caused ``error``, or None."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        if isinstance(current, ssl.SSLError) and not isinstance(current, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
            return current
        seen.add(id(current))
        current = current.__cause__ or current.__context__
    return None


def describe(failure: ssl.SSLError) -> str:
    """Return in words what is wrong with a TLS connection, and which setting to change."""
    if isinstance(failure, ssl.SSLCertVerificationError):
        return f"its certificate is rejected: {failure.verify_message.rstrip('.')}; {_todo(failure.verify_code)}"
    reason = failure.reason or str(failure)
    if "WRONG_VERSION_NUMBER" in reason or "RECORD_LAYER" in reason:
        return (
            "it does not speak TLS on this port; name its TLS port in redis.url, or use redis:// instead of rediss://"
        )
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
        return (
            f"it rejects the connection ({reason}); if it requests a certificate, set redis.cert_file and "
            "redis.key_file (SMURFQ_REDIS_CERT_FILE, SMURFQ_REDIS_KEY_FILE)"
        )
    return f"TLS fails ({reason}); see the server's log, redis.url and redis.ca_file"


def _todo(code: int) -> str:
    if code in (_EXPIRED, _NOT_YET_VALID):
        return "renew it on the server, and compare both machines' clocks"
    if code in (_HOST_MISMATCH, _ADDRESS_MISMATCH):
        return "redis.url (SMURFQ_REDIS_URL) must name the server as its certificate does"
    return "set redis.ca_file (SMURFQ_REDIS_CA_FILE) to the CA that signed it"
