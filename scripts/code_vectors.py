#!/usr/bin/env python3
"""Computes the published code vectors with the standard library alone: a second implementation of common/src/code.rs.

Without arguments it writes common/src/code/vectors.json; with --check it only compares and fails on a difference.
"""

import hashlib
import hmac
import json
import pathlib
import sys
import unicodedata
import uuid

TARGET = pathlib.Path(__file__).resolve().parent.parent / "common/src/code/vectors.json"

ROOTS = {
    "k1": bytes(range(32)),
    "k2": hashlib.sha256(b"an example root that protects nothing").digest() + bytes(16),
}


def hkdf_sha256(root, info, length=32):
    """RFC 5869 with an empty salt."""
    pseudo_random = hmac.new(bytes(32), root, hashlib.sha256).digest()
    output, block, counter = b"", b"", 1
    while len(output) < length:
        block = hmac.new(pseudo_random, block + info + bytes([counter]), hashlib.sha256).digest()
        output, counter = output + block, counter + 1
    return output[:length]


def fields(vector):
    yield bytes([1])
    yield uuid.UUID(vector["id"]).bytes
    yield vector["accepted_at_ms"].to_bytes(8, "big", signed=True)
    yield vector["number"].encode("ascii")
    transaction = vector["transaction"]
    if transaction:
        yield int(transaction["amount"]).to_bytes(8, "big")
        yield transaction["currency"].encode("ascii")
        yield unicodedata.normalize("NFC", transaction["payee_name"]).encode()
        yield unicodedata.normalize("NFC", transaction["payee_account"]).encode()


def code(vector):
    key = hkdf_sha256(ROOTS[vector["kid"]], b"otodoke code v1" + vector["tenant"].encode("ascii"))
    message = b"".join(len(field).to_bytes(4, "big") + field for field in fields(vector))
    digest = hmac.new(key, message, hashlib.sha256).digest()
    length = vector["length"]
    return str(int.from_bytes(digest[:16], "big") % 10**length).zfill(length)


def vector(what, kid, length, transaction=None, tenant="acme", number="+819012345678", at=1_763_805_600_000):
    made = {
        "what": what,
        "kid": kid,
        "root_hex": ROOTS[kid].hex(),
        "tenant": tenant,
        "id": "019aab8c-4500-7abc-8def-0123456789ab",
        "accepted_at_ms": at,
        "number": number,
        "transaction": transaction,
        "length": length,
    }
    return {**made, "code": code(made)}


def with_leading_zero(what, kid, length):
    """The first point in time, millisecond by millisecond, whose code begins with a zero."""
    at = 1_763_805_600_000
    while True:
        made = vector(what, kid, length, at=at)
        if made["code"].startswith("0"):
            return made
        at += 1


def payee(amount, currency, name, account):
    return {"amount": amount, "currency": currency, "payee_name": name, "payee_account": account}


def vectors():
    return [
        vector("login, six digits", "k1", 6),
        vector("the same message under the next root", "k2", 6),
        vector("another tenant", "k1", 6, tenant="acme-2"),
        with_leading_zero("a leading zero is a digit", "k1", 6),
        vector("ten digits", "k1", 10),
        vector("a number of another country", "k2", 8, number="+12015550123"),
        vector("payment", "k1", 6, payee("12000", "JPY", "YAMADA TARO", "1234567")),
        vector("payment to a Japanese payee, ten digits", "k2", 10, payee("12000", "JPY", "ヤマダ　タロウ", "普通1234567")),
        vector("a payee typed in decomposed form", "k2", 10, payee("250", "EUR", "Rene\u0301e", "DE02120300000000202051")),
        vector("the largest amount", "k2", 6, payee("9" * 18, "JPY", "山田　太郎", "1")),
    ]


def main():
    text = json.dumps(vectors(), ensure_ascii=False, indent=2) + "\n"
    if sys.argv[1:] == ["--check"]:
        if TARGET.read_text(encoding="utf-8") != text:
            sys.exit(f"{TARGET} differs from what this script computes: run it without --check")
        print(f"{TARGET.name}: every vector agrees")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        TARGET.write_text(text, encoding="utf-8")
        print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
