"""Signing in at a real provider, through its whole code flow by HTTP, and attacks on that.

Between the gateway and the provider stands a proxy: it passes everything on, and where a test says
so it puts another ID token into the provider's answer, as a provider in wrong hands would.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from coldtrail_gateway.audit import identify, oidc, people
from coldtrail_gateway.audit.oidc import Begun, ProviderError, RelyingParty, SignInDenied
from coldtrail_gateway.audit.people import New
from coldtrail_gateway.audit.people_tables import provider_sign_ins
from coldtrail_gateway.audit.signatures import Proof
from coldtrail_simulator.services.process import free_port
from tests.gateway.audit.installation import DAY, HOME, MINUTE, Installation
from tests.support.references.oidc_provider import Provider

REDIRECT = "http://127.0.0.1:9/tower/signed-in"  # nothing listens there: the test plays the tower
CLIENT, CLIENT_SECRET = "coldtrail", "the client's secret of the test"
Claims = dict[str, Any]


class Proxy(ThreadingHTTPServer):
    """What the gateway takes for the provider; `forge` makes another ID token of the real one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.issuer = f"http://127.0.0.1:{self.server_address[1]}"
        self.forge: Callable[[str], str] | None = None
        self.target = 0
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Passing(BaseHTTPRequestHandler):
    server: Proxy

    def do_GET(self) -> None:
        self._pass()

    def do_POST(self) -> None:
        self._pass()

    def _pass(self) -> None:
        self.server.asked.append(self.path.partition("?")[0])
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = http.client.HTTPConnection("127.0.0.1", self.server.target)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        if self.path == "/token" and answer.status == 200 and self.server.forge:
            document = json.loads(content)
            document["id_token"] = self.server.forge(document["id_token"])
            content = json.dumps(document).encode()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    def log_message(self, *_: Any) -> None:
        pass


class World:
    """A provider behind a proxy, and the gateway as its client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.proxy = Proxy()
        self.key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": "first"})
        self.provider: Provider | None = None
        self.start()

    def start(self, id_token_s: int = 600) -> None:
        """Start the provider, or start it anew with the key of the moment."""
        self.stop()
        self.proxy.target = free_port()
        clients = [
            {
                "client_id": client,
                "client_secret": CLIENT_SECRET,
                "redirect_uris": [REDIRECT],
            }
            for client in (CLIENT, "another")
        ]
        settings = {
            "issuer": self.proxy.issuer,
            "clients": clients,
            "jwks": {"keys": [self.key.as_dict(private=True)]},
            "idTokenSeconds": id_token_s,
        }
        self.provider = Provider(self.folder, self.proxy.target, settings)

    def stop(self) -> None:
        if self.provider:
            self.provider.stop()

    def party(self, client: str = CLIENT) -> RelyingParty:
        return RelyingParty(oidc.Provider(self.proxy.issuer, client, REDIRECT, CLIENT_SECRET))


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("provider"))
    yield made
    made.stop()
    made.proxy.shutdown()
    made.proxy.server_close()


@pytest.fixture
def world(started: World) -> Iterator[World]:
    yield started
    started.proxy.forge = None


@pytest.fixture
def database(tmp_path: Path) -> str:
    """What is special about a database is tested elsewhere."""
    return f"sqlite:///{tmp_path}/gateway.db"


@pytest.fixture
def gateway(installation: Installation, world: World) -> Installation:
    """An installation on the provider's time, with Dora, who signs in there."""
    installation.now_ms = time.time_ns() // 1_000_000
    new = New("dora", "Dora Lind", issuer=world.proxy.issuer, subject="subject-of-dora")
    with installation.tower.write() as connection:
        _, code = people.add(connection, installation.console, new, "hired", installation.now_ms)
    assert code is None
    return installation


def browse(url: str, login: str = "subject-of-dora") -> dict[str, str]:
    """Sign in at the provider as a browser does; return the query of the way back."""
    with httpx2.Client(timeout=60) as browser:
        answer = browser.get(url)
        while True:
            while answer.is_redirect:
                target = answer.headers["location"]
                if target.startswith(REDIRECT):
                    return dict(parse_qsl(urlsplit(target).query))
                answer = browser.get(str(answer.url.join(target)))
            form = re.search(r'action="([^"]+)"', answer.text)
            prompt = re.search(r'name="prompt" value="([^"]+)"', answer.text)
            assert form, answer.text
            assert prompt, answer.text
            answer = browser.post(
                str(answer.url.join(form[1])),
                data={"prompt": prompt[1], "login": login, "password": "anything"},
            )


def begin(gateway: Installation, party: RelyingParty, *, fresh: bool = False) -> Begun:
    return party.begin(gateway.tower, gateway.now_ms, fresh=fresh)


def finish(
    gateway: Installation,
    party: RelyingParty,
    answer: dict[str, str],
    begun: Begun,
    *,
    later_ms: int = 0,
) -> str:
    now_ms = time.time_ns() // 1_000_000 + later_ms
    return party.finish(gateway.tower, answer, begun.secret, HOME, now_ms)


def prove(
    gateway: Installation, party: RelyingParty, answer: dict[str, str], begun: Begun, name: str
) -> Proof:
    now_ms = time.time_ns() // 1_000_000
    return party.prove(gateway.tower, answer, begun.secret, gateway.who(name), now_ms)


def test_whoever_the_provider_proves_and_an_administrator_has_added_is_let_in(
    gateway: Installation, world: World
) -> None:
    party = world.party()
    begun = begin(gateway, party)
    query = parse_qs(urlsplit(begun.url).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["scope"] == ["openid"]
    assert begun.secret not in begun.url
    secret = finish(gateway, party, browse(begun.url), begun)
    who = identify.who(gateway.tower, secret, HOME, time.time_ns() // 1_000_000)
    assert (who.actor.id, who.actor.name, who.rights) == ("dora", "Dora Lind", {})


def test_who_is_not_added_or_disabled_is_not_let_in(gateway: Installation, world: World) -> None:
    """Whatever name or mail the provider knows him by."""
    party = world.party()
    begun = begin(gateway, party)
    with pytest.raises(SignInDenied, match=r"subject-of-eve at .* is nobody here"):
        finish(gateway, party, browse(begun.url, "subject-of-eve"), begun)
    begun = begin(gateway, party)
    with pytest.raises(SignInDenied, match="is nobody here"):
        finish(gateway, party, browse(begun.url, "dora"), begun)
    gateway.add("ana", first=True)
    with gateway.tower.write() as connection:
        people.disable(connection, gateway.console, "dora", "left", gateway.now_ms)
    begun = begin(gateway, party)
    with pytest.raises(SignInDenied, match="disabled"):
        finish(gateway, party, browse(begun.url), begun)


def test_an_answer_is_taken_once(gateway: Installation, world: World) -> None:
    party = world.party()
    begun = begin(gateway, party)
    answer = browse(begun.url)
    finish(gateway, party, answer, begun)
    with pytest.raises(SignInDenied, match="over"):
        finish(gateway, party, answer, begun)


def test_a_code_is_redeemed_once(gateway: Installation, world: World) -> None:
    """An attacker's own sign-in with a code that he has seen go by."""
    party = world.party()
    begun = begin(gateway, party)
    answer = browse(begun.url)
    finish(gateway, party, answer, begun)
    own = begin(gateway, party)
    state = parse_qs(urlsplit(own.url).query)["state"][0]
    with pytest.raises(SignInDenied, match="OAuthError"):
        finish(gateway, party, {**answer, "state": state}, own)


def test_a_code_that_was_stolen_before_its_use_opens_nothing(
    gateway: Installation, world: World
) -> None:
    """PKCE: the verifier is in the victim's browser."""
    party = world.party()
    stolen = browse(begin(gateway, party).url)
    own = begin(gateway, party)
    state = parse_qs(urlsplit(own.url).query)["state"][0]
    with pytest.raises(SignInDenied, match="OAuthError"):
        finish(gateway, party, {**stolen, "state": state}, own)


@pytest.mark.parametrize(
    "state", ["", "x", "ä", "\ud800", pytest.param("s" * 10_000_000, id="10 MB")]
)
def test_a_wrong_state_is_refused_and_does_not_end_the_sign_in(
    gateway: Installation, world: World, state: str
) -> None:
    party = world.party()
    begun = begin(gateway, party)
    answer = browse(begun.url)
    with pytest.raises(SignInDenied, match="no sign-in of this browser"):
        finish(gateway, party, {**answer, "state": state}, begun)
    finish(gateway, party, answer, begun)


def test_an_answer_that_another_browser_began_is_refused(
    gateway: Installation, world: World
) -> None:
    """Else somebody could be signed in, without noticing, as the attacker."""
    party = world.party()
    attackers = browse(begin(gateway, party).url)
    victims = begin(gateway, party)
    with pytest.raises(SignInDenied, match="no sign-in of this browser"):
        finish(gateway, party, attackers, victims)


@pytest.mark.parametrize("issuer", ["", "https://another.example"])
def test_an_answer_of_another_provider_is_refused(
    gateway: Installation, world: World, issuer: str
) -> None:
    party = world.party()
    begun = begin(gateway, party)
    with pytest.raises(SignInDenied, match="another provider"):
        finish(gateway, party, {**browse(begun.url), "iss": issuer}, begun)


def test_what_the_provider_refuses_is_said(gateway: Installation, world: World) -> None:
    party = world.party()
    begun = begin(gateway, party)
    query = parse_qs(urlsplit(begun.url).query)
    answer = {"state": query["state"][0], "iss": world.proxy.issuer, "error": "access_denied\n"}
    with pytest.raises(SignInDenied, match=r"refuses \(access_denied\\n\)"):
        finish(gateway, party, answer, begun)


def test_who_takes_too_long_starts_again(gateway: Installation, world: World) -> None:
    party = world.party()
    begun = begin(gateway, party)
    answer = browse(begun.url)
    with pytest.raises(SignInDenied, match="too long"):
        finish(gateway, party, answer, begun, later_ms=11 * MINUTE)


# --- ID tokens of a provider in wrong hands


def resigned(world: World, token: str, header: dict[str, str], **changed: Any) -> str:
    """Return a token with other claims under the provider's own key; None leaves one out."""
    claims = {**jwt.decode(token, world.key).claims, **changed}
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": "RS256", "kid": "first", **header}, claims, world.key)


def unsigned(token: str) -> str:
    header = urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    return f"{header}.{token.split('.')[1]}."


def with_public_key_as_secret(world: World, token: str) -> str:
    """RS256 taken for HS256, with the public key as the secret that everybody knows."""
    claims = jwt.decode(token, world.key).claims
    public = OctKey.import_key(world.key.as_pem(private=False))
    return jwt.encode({"alg": "HS256", "kid": "first"}, claims, public, algorithms=["HS256"])


def under_another_key(world: World, token: str, kid: str) -> str:
    other = RSAKey.generate_key(2048, {"kid": kid})
    return jwt.encode({"alg": "RS256", "kid": kid}, jwt.decode(token, world.key).claims, other)


NOW_S = time.time()
FORGERIES: dict[str, Callable[[World, str], str]] = {
    "another audience": lambda w, t: resigned(w, t, {}, aud="another"),
    "another audience for our party": lambda w, t: resigned(w, t, {}, aud="another", azp=CLIENT),
    "no audience": lambda w, t: resigned(w, t, {}, aud=None),
    "two audiences, no party": lambda w, t: resigned(w, t, {}, aud=[CLIENT, "another"]),
    "another party": lambda w, t: resigned(w, t, {}, aud=[CLIENT, "another"], azp="another"),
    "another issuer": lambda w, t: resigned(w, t, {}, iss="https://another.example"),
    "another nonce": lambda w, t: resigned(w, t, {}, nonce="another"),
    "no nonce": lambda w, t: resigned(w, t, {}, nonce=None),
    "expired": lambda w, t: resigned(w, t, {}, exp=int(NOW_S) - 120),
    "no end": lambda w, t: resigned(w, t, {}, exp=None),
    "of tomorrow": lambda w, t: resigned(w, t, {}, iat=int(NOW_S) + 86_400),
    "of yesterday": lambda w, t: resigned(w, t, {}, iat=int(NOW_S) - 86_400),
    "no time": lambda w, t: resigned(w, t, {}, iat=None),
    "time is no number": lambda w, t: resigned(w, t, {}, iat="now"),
    "time is too large": lambda w, t: resigned(w, t, {}, iat=10**400),
    "no subject": lambda w, t: resigned(w, t, {}, sub=None),
    "subject is no text": lambda w, t: resigned(w, t, {}, sub=["subject-of-dora"]),
    "subject cannot be printed": lambda w, t: resigned(w, t, {}, sub="subject-of-dora\0"),
    "another access token": lambda w, t: resigned(w, t, {}, at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "no signature": lambda _, t: unsigned(t),
    "signature cut": lambda _, t: t.rpartition(".")[0] + ".",
    "public key as secret": with_public_key_as_secret,
    "another key of the same name": lambda w, t: under_another_key(w, t, "first"),
    "an unknown key": lambda w, t: under_another_key(w, t, "unknown"),
    "no token": lambda _w, _t: "",
    "a long token": lambda _w, _t: "a" * 1_000_000,
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_id_token_lets_nobody_in(
    gateway: Installation, world: World, forgery: str
) -> None:
    party = world.party()
    begun = begin(gateway, party)
    answer = browse(begun.url)
    world.proxy.forge = lambda token: FORGERIES[forgery](world, token)
    with pytest.raises(SignInDenied):
        finish(gateway, party, answer, begun)


def test_the_forger_can_also_leave_a_token_as_good_as_it_was(
    gateway: Installation, world: World
) -> None:
    """Else the forgeries would be refused for another reason than the one that they name."""
    for changed in ({}, {"azp": CLIENT}, {"aud": [CLIENT]}):
        party = world.party()
        begun = begin(gateway, party)
        answer = browse(begun.url)
        world.proxy.forge = lambda token, c=changed: resigned(world, token, {}, **c)
        finish(gateway, party, answer, begun)


def test_a_token_that_another_client_was_given_lets_nobody_in(
    gateway: Installation, world: World
) -> None:
    """Both real: the other client's token put in the place of ours."""
    theirs: list[str] = []
    other = world.party("another")
    begun = begin(gateway, other)

    def take(token: str) -> str:
        theirs.append(token)
        return token

    world.proxy.forge = take
    finish(gateway, other, browse(begun.url), begun)
    party = world.party()
    begun = begin(gateway, party)
    answer = browse(begun.url)
    world.proxy.forge = lambda _token: theirs[0]
    with pytest.raises(SignInDenied):
        finish(gateway, party, answer, begun)


def test_a_token_that_has_expired_on_the_way_lets_nobody_in(
    gateway: Installation, world: World
) -> None:
    world.start(id_token_s=1)
    try:
        party = world.party()
        begun = begin(gateway, party)
        with pytest.raises(SignInDenied, match="ExpiredTokenError"):
            finish(gateway, party, browse(begun.url), begun, later_ms=2 * MINUTE)
    finally:
        world.start()


# --- keys, fresh proofs, the provider itself


def test_keys_that_rotate_are_fetched_and_an_unknown_one_is_not_asked_for_each_time(
    gateway: Installation, world: World
) -> None:
    party = world.party()
    begun = begin(gateway, party)
    finish(gateway, party, browse(begun.url), begun)
    old = world.key
    world.key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": "second"})
    world.start()
    try:
        begun = begin(gateway, party)
        answer = browse(begun.url)
        finish(gateway, party, answer, begun, later_ms=2 * MINUTE)
        world.proxy.asked.clear()
        for _ in range(3):
            begun = begin(gateway, party)
            answer = browse(begun.url)
            world.proxy.forge = lambda token: under_another_key(world, token, "unknown")
            with pytest.raises(SignInDenied, match="under no key"):
                finish(gateway, party, answer, begun, later_ms=2 * MINUTE)
            world.proxy.forge = None
        assert "/jwks" not in world.proxy.asked
    finally:
        world.key = old
        world.start()


def test_a_proof_that_has_to_be_fresh_is_asked_for_and_checked(
    gateway: Installation, world: World
) -> None:
    party = world.party()
    begun = begin(gateway, party, fresh=True)
    query = parse_qs(urlsplit(begun.url).query)
    assert (query["prompt"], query["max_age"]) == (["login"], ["0"])
    proof = prove(gateway, party, browse(begun.url), begun, "dora")
    assert (proof.person, set(proof.components)) == ("dora", {"provider"})
    for auth_time in (None, int(time.time()) - 3600):
        begun = begin(gateway, party, fresh=True)
        answer = browse(begun.url)
        world.proxy.forge = lambda token, at=auth_time: resigned(world, token, {}, auth_time=at)
        with pytest.raises(SignInDenied, match="proof again"):
            prove(gateway, party, answer, begun, "dora")
        world.proxy.forge = None


def test_a_proof_is_ones_own_and_says_by_what_the_provider_took_it(
    gateway: Installation, world: World
) -> None:
    gateway.add("ana", first=True)
    party = world.party()
    begun = begin(gateway, party, fresh=True)
    with pytest.raises(SignInDenied, match="Somebody else"):
        prove(gateway, party, browse(begun.url), begun, "ana")
    begun = begin(gateway, party, fresh=True)
    answer = browse(begun.url)
    world.proxy.forge = lambda token: resigned(world, token, {}, amr=["pwd", "otp"])
    proof = prove(gateway, party, answer, begun, "dora")
    assert set(proof.components) == {"pwd", "otp"}


def test_what_is_pending_is_kept_as_a_digest_and_for_ten_minutes(
    gateway: Installation, world: World
) -> None:
    party = world.party()
    begun = begin(gateway, party)
    with gateway.tower.read() as connection:
        rows = connection.execute(sa.select(provider_sign_ins)).all()
    assert len(rows) == 1
    assert begun.secret not in repr(rows)
    gateway.now_ms += DAY
    begin(gateway, party)
    with gateway.tower.read() as connection:
        assert len(connection.execute(sa.select(provider_sign_ins)).all()) == 1


@pytest.mark.parametrize(
    "issuer", ["http://provider.example", "ftp://127.0.0.1", "provider", "http://127.0.0.1.evil"]
)
def test_a_provider_without_tls_is_refused(issuer: str) -> None:
    with pytest.raises(ProviderError, match="no https address"):
        RelyingParty(oidc.Provider(issuer, CLIENT, REDIRECT))


def test_a_provider_that_is_not_there_or_is_another_is_said(
    gateway: Installation, world: World
) -> None:
    gone = RelyingParty(oidc.Provider(f"http://127.0.0.1:{free_port()}", CLIENT, REDIRECT))
    with pytest.raises(ProviderError, match=r"does not answer as a provider does"):
        begin(gateway, gone)
    assert world.provider
    other = RelyingParty(oidc.Provider(world.provider.url, CLIENT, REDIRECT))
    with pytest.raises(ProviderError, match="calls itself"):
        begin(gateway, other)


def test_no_secret_is_printed(world: World) -> None:
    provider = oidc.Provider(world.proxy.issuer, CLIENT, REDIRECT, CLIENT_SECRET)
    assert CLIENT_SECRET not in repr(provider)
    assert "cto_" not in repr(Begun("https://provider.example", "cto_x"))
