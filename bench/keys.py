# SPDX-License-Identifier: Apache-2.0
"""Keys: derive, prove, sign and verify, one at a time and in bulk, beside other libraries.

Speeds are per processor second of one core unless "all cores" is said: the cores are shared with
whatever else runs. The peers do the same work in the same run: ``cryptography`` called plainly,
``psec``, ``gmssl`` and ``openssl speed``.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psec.des
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from gmssl import sm2 as gmssl_sm2
from gmssl import sm4 as gmssl_sm4

from bench.keys_world import (
    KeyWorld,
    all_processors_s,
    make_world,
    openssl_speed,
    processor_s,
    side_by_side,
)
from bench.line import Line, check, report, significant
from keys import _prims, purse, sm2
from keys.algorithm import Algorithm
from keys.bulk import ProofPool, expected_proofs, proofs_match
from keys.identity import Identity
from keys.usage import KeyUsage
from keys.verify import verify, verify_many

CARDS, QUICK_CARDS = 1_000_000, 200_000
TAPS, QUICK_TAPS = 100_000, 20_000
SINGLES, QUICK_SINGLES = 4_000, 1_000
SIGNATURES, QUICK_SIGNATURES = 20_000, 3_000
GMSSL_CASES = 20
SPEED_S, QUICK_SPEED_S = 3, 1
ROUNDS, QUICK_ROUNDS = 9, 6
DERIVE_RATIO_MIN = 4.0
PROOF_RATIO_MIN = 1.0
ED25519_SHARE_MIN = 0.9
SM2_RATIO_MIN = 3.0
EVENT = bytes(160)
CONTEXT = b"yika/swipe/1\0"


def run(quick: bool) -> Iterator[Line]:
    """Measure keys; with `quick`, on fewer of everything."""
    with tempfile.TemporaryDirectory() as folder:
        world = make_world(Path(folder))
        for algorithm in (Algorithm.TDES, Algorithm.SM4):
            yield from _derivation(world, algorithm, quick)
            yield from _proofs(world, algorithm, quick)
    yield from _ed25519(quick)
    yield from _p256(quick)
    yield from _sm2(quick)


def _told(case: str, count: int, seconds: float, what: str) -> Line:
    return report("keys", case, significant(count / seconds), f"{what}/s")


def _at_least(case: str, value: float, limit: float) -> Line:
    return check("keys", case, significant(value), "ratio", limit=limit, sense="min")


def _derivation(world: KeyWorld, algorithm: Algorithm, quick: bool) -> Iterator[Line]:
    """Derive card keys: a context each, other libraries a context each, all in one call."""
    count, singles = (QUICK_CARDS, QUICK_SINGLES) if quick else (CARDS, SINGLES)
    name, factors = algorithm.value, world.rows(count, 8)
    master = world.masters[KeyUsage.TAC, algorithm]
    some = [row.tobytes() for row in factors[:singles]]
    bulk = world.store.bulk(KeyUsage.TAC, algorithm.cg_type)
    keys = bulk.derive(factors)
    one = purse.diversify(master, some[-1], algorithm=algorithm)
    if keys[singles - 1].tobytes() != one:
        raise RuntimeError("bulk and single derivation differ")
    single_s = processor_s(
        lambda: [purse.diversify(master, factor, algorithm=algorithm) for factor in some]
    )
    bulk_s = processor_s(lambda: bulk.derive(factors), passes=2)
    yield _told(f"derive {name}, a context a card", singles, single_s, "cards")
    for peer, derive in _deriving_peers(algorithm).items():
        if derive(master, some[-1]) != one:
            raise RuntimeError(f"{peer} derives another key")
        cases = some[: GMSSL_CASES * 10] if peer == "gmssl" else some
        peer_s = processor_s(lambda d=derive, c=cases: [d(master, factor) for factor in c])
        yield _told(f"derive {name}, {peer}", len(cases), peer_s, "cards")
    yield _told(f"derive {name}, {count} cards in one call", count, bulk_s, "cards")
    ratio = (count / bulk_s) / (singles / single_s)
    yield _at_least(f"derive {name}, bulk against a context a card", ratio, DERIVE_RATIO_MIN)


def _deriving_peers(algorithm: Algorithm) -> dict[str, Callable[[bytes, bytes], bytes]]:
    def both(factor: bytes) -> bytes:
        return factor + bytes(byte ^ 0xFF for byte in factor)

    def plain(master: bytes, factor: bytes) -> bytes:
        cipher = Cipher(TripleDES(master + master[:8]), modes.ECB())
        return cipher.encryptor().update(both(factor))

    def by_psec(master: bytes, factor: bytes) -> bytes:
        return psec.des.encrypt_tdes_ecb(master, both(factor))

    def by_gmssl(master: bytes, factor: bytes) -> bytes:
        cipher = gmssl_sm4.CryptSM4(padding_mode=2)  # neither of its two paddings
        cipher.set_key(master, gmssl_sm4.SM4_ENCRYPT)
        return bytes(cipher.crypt_ecb(both(factor)))

    if algorithm is Algorithm.SM4:
        return {"gmssl": by_gmssl}
    warnings.filterwarnings("ignore", message="TripleDES has been moved|Two-key TripleDES")
    return {"plain cryptography": plain, "psec": by_psec}


def _proofs(world: KeyWorld, algorithm: Algorithm, quick: bool) -> Iterator[Line]:
    """Verify TAC, MAC2 and CG2: by the single formulas, in bulk on one core, in bulk on all."""
    count, singles = (QUICK_TAPS, QUICK_SINGLES) if quick else (TAPS, SINGLES)
    name, taps = algorithm.value, world.taps(count, algorithm)
    few = taps.take(np.arange(singles))
    true = expected_proofs(world.store, taps)
    one_by_one = world.one_by_one(few, algorithm)
    if one_by_one[-1][0] != true.tac[singles - 1].tobytes():
        raise RuntimeError("bulk and single proofs differ")

    def bulk(pool: ProofPool | None = None) -> None:
        found = expected_proofs(world.store, taps, pool)
        verdicts = proofs_match(found, true.tac, true.mac2, true.cg2)
        if not (verdicts.tac & verdicts.mac2 & verdicts.cg2).all():
            raise RuntimeError("a good proof was refused")

    single = singles / processor_s(lambda: world.one_by_one(few, algorithm))
    alone = count / processor_s(bulk, passes=2)
    with ProofPool() as pool:
        bulk(pool)  # the workers start
        before, wall = all_processors_s(), time.perf_counter()
        bulk(pool)
        wall, after = time.perf_counter() - wall, all_processors_s()
        spent = [b - a for a, b in zip(before[1], after[1], strict=True)]
        together = count / (after[0] - before[0] + sum(spent))
        yield check(
            "keys", f"proofs {name}, cores at work", sum(s > 0 for s in spent), "cores",
            limit=pool.workers, sense="min",
        )  # fmt: skip
    case = f"proofs {name} (TAC, MAC2, CG2)"
    yield report("keys", f"{case}, single formulas", significant(single), "taps/s")
    yield report("keys", f"{case}, bulk, one core", significant(alone), "taps/s")
    yield report("keys", f"{case}, bulk, all cores, each", significant(together), "taps/s")
    yield _told(f"{case}, bulk, all cores, wall", count, wall, "taps")
    yield _at_least(f"{case}, all cores, each, against single", together / single, PROOF_RATIO_MIN)


def _ed25519(quick: bool) -> Iterator[Line]:
    """Verify by one thread beside plain calls and ``openssl speed``, and by all cores at once."""
    count = QUICK_SIGNATURES if quick else SIGNATURES
    identity = Identity.from_seed(bytes(32))
    plain = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    messages = [EVENT + number.to_bytes(4) for number in range(count)]
    signatures = [identity.sign(CONTEXT, message) for message in messages]
    pairs = list(zip(signatures, messages, strict=True))
    public = identity.public_key

    def per_s(action: Callable[[], object]) -> Callable[[], float]:
        return lambda: count / processor_s(action, passes=1)

    verified = side_by_side(
        {
            "one by one": per_s(lambda: [verify(public, s, CONTEXT, m) for s, m in pairs]),
            "plain cryptography": per_s(lambda: [plain.verify(s, CONTEXT + m) for s, m in pairs]),
            "openssl speed": lambda: openssl_speed("ed25519", 1)[1],
        },
        QUICK_ROUNDS if quick else ROUNDS,
    )
    for name, rate in verified.items():
        yield report("keys", f"Ed25519 verify, {name}", significant(rate), "signatures/s")
    start = time.perf_counter()
    if not verify_many(public, signatures, CONTEXT, messages).all():
        raise RuntimeError("a good signature was refused")
    wall = time.perf_counter() - start
    yield _told(f"Ed25519 verify, {count} in one call, all cores, wall", count, wall, "signatures")
    sign_s = processor_s(lambda: [identity.sign(CONTEXT, m) for m in messages])
    yield _told("Ed25519 sign", count, sign_s, "signatures")
    ratio = verified["one by one"] / verified["openssl speed"]
    yield _at_least("Ed25519 verify against openssl speed, a core", ratio, ED25519_SHARE_MIN)


def _p256(quick: bool) -> Iterator[Line]:
    count = QUICK_SIGNATURES if quick else SIGNATURES
    key = _prims.p256_generate()
    public = _prims.p256_public(_prims.p256_public_bytes(key))
    signature = _prims.p256_sign(key, EVENT)
    sign_s = processor_s(lambda: [_prims.p256_sign(key, EVENT) for _ in range(count)])
    own_s = processor_s(
        lambda: [_prims.p256_verify(public, signature, EVENT) for _ in range(count)]
    )
    openssl_sign, openssl = openssl_speed("ecdsap256", QUICK_SPEED_S if quick else SPEED_S)
    yield _told("ECDSA P-256 sign", count, sign_s, "signatures")
    yield report(
        "keys", "ECDSA P-256 sign, openssl speed", significant(openssl_sign), "signatures/s"
    )
    yield _told("ECDSA P-256 verify", count, own_s, "signatures")
    yield report("keys", "ECDSA P-256 verify, openssl speed", significant(openssl), "signatures/s")


def _sm2(quick: bool) -> Iterator[Line]:
    count = QUICK_SINGLES if quick else SINGLES
    private = sm2.generate()
    public = sm2.public_key(private)
    signature, e = sm2.sign(private, EVENT), sm2.digest(public, EVENT)
    slowly, peers = count // 5, GMSSL_CASES
    peer = gmssl_sm2.CryptSM2(private_key=private.hex(), public_key=public.hex())
    raw = signature.hex()
    sign_s = processor_s(lambda: [sm2.sign(private, EVENT, public=public) for _ in range(slowly)])
    once_s = processor_s(lambda: [sm2.verify_slowly(public, signature, e) for _ in range(slowly)])
    often_s = processor_s(
        lambda: [sm2.verify_slowly(public, signature, e, often=True) for _ in range(slowly)]
    )
    gmssl_sign_s = processor_s(lambda: [peer.sign_with_sm3(EVENT) for _ in range(peers)])
    gmssl_s = processor_s(lambda: [peer.verify_with_sm3(raw, EVENT) for _ in range(peers)])
    yield _told("SM2 sign", slowly, sign_s, "signatures")
    yield _told("SM2 sign, gmssl", peers, gmssl_sign_s, "signatures")
    yield _told("SM2 verify, own arithmetic, any key", slowly, once_s, "signatures")
    yield _told("SM2 verify, own arithmetic, a key seen often", slowly, often_s, "signatures")
    yield _told("SM2 verify, gmssl", peers, gmssl_s, "signatures")
    library = sm2.fast_library()
    if library is not None:
        fast_s = processor_s(lambda: [verify(public, signature, b"", EVENT) for _ in range(count)])
        yield _told(f"SM2 verify, {library}", count, fast_s, "signatures")
    ratio = (slowly / once_s) / (peers / gmssl_s)
    yield _at_least("SM2 verify, own arithmetic against gmssl", ratio, SM2_RATIO_MIN)
    ratio = (slowly / sign_s) / (peers / gmssl_sign_s)
    yield _at_least("SM2 sign against gmssl", ratio, SM2_RATIO_MIN)
