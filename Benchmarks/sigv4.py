# SPDX-License-Identifier: Apache-2.0
"""AWS Signature Version 4, as much of it as a client of the XKS Proxy API needs. Standard library only."""

import datetime
import functools
import hashlib
import hmac

SERVICE = "kms-xks-proxy"


def _hmac(key, text):
    return hmac.digest(key, text.encode(), "sha256")


@functools.lru_cache(maxsize=16)
def _signing_key(secret, day, region, service):
    key = ("AWS4" + secret).encode()
    for part in (day, region, service, "aws4_request"):
        key = _hmac(key, part)
    return key


def timestamp(now=None):
    """The form of x-amz-date: 20261123T225100Z."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    return now.strftime("%Y%m%dT%H%M%SZ")


def authorization(method, path, headers, body, access_key_id, secret, region, date, service=SERVICE, query=""):
    """The value of the Authorization header.

    `headers` (name to value) are all signed and must hold `host` and `x-amz-date`; `path` and `query` must be in
    canonical form already, which paths of the XKS Proxy API are.
    """
    fields = sorted((name.lower(), " ".join(value.split())) for name, value in headers.items())
    signed = ";".join(name for name, _ in fields)
    canonical = "\n".join(
        [method, path, query, "".join(f"{name}:{value}\n" for name, value in fields), signed,
         hashlib.sha256(body).hexdigest()])
    scope = f"{date[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signature = _hmac(_signing_key(secret, date[:8], region, service), to_sign).hex()
    return f"AWS4-HMAC-SHA256 Credential={access_key_id}/{scope}, SignedHeaders={signed}, Signature={signature}"


def signed_post(host, path, body, access_key_id, secret, region="us-east-1", date=None):
    """The headers of a signed POST with a JSON body, in the order in which they are to be sent."""
    date = date or timestamp()
    headers = {"host": host, "content-type": "application/json", "x-amz-date": date}
    headers["authorization"] = authorization("POST", path, headers, body, access_key_id, secret, region, date)
    headers["content-length"] = str(len(body))
    return headers
