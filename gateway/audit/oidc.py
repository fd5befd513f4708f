"""Signing in at an OpenID provider: authorization code with PKCE (OpenID Connect Core 1.0).

`begin` gives the address to which a browser is sent, and a secret for the browser alone to keep
(a cookie: HttpOnly, SameSite=Lax, Secure). State, nonce and PKCE's verifier are made from that
secret, so that the database holds a digest only, and an answer that another browser began, or that
was given already, is refused. `finish` takes the answer, fetches and checks the ID token, and
begins a session of the account that an administrator has given this issuer and subject: an
address of mail, or a name, gives nothing.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
import sqlalchemy as sa
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet
from sqlalchemy.engine import Connection

from coldtrail_gateway.audit import accounts, secret_text, sessions, throttle
from coldtrail_gateway.audit.access import Denied, Who
from coldtrail_gateway.audit.accounts import Account
from coldtrail_gateway.audit.people_tables import provider_sign_ins as table
from coldtrail_gateway.audit.signatures import Proof
from coldtrail_gateway.contract.printable import printable
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.store.tower.database import Tower

PENDING_MS: Final = 10 * 60_000
"""How long somebody may take at the provider."""

LEEWAY_S: Final = 60
"""How far the clocks of provider and gateway may differ."""

KEPT_MS: Final = 3_600_000
"""How long what the provider has published is believed without asking again."""

AGAIN_MS: Final = 60_000
"""How soon an ID token under an unknown key makes the keys be fetched again."""

_ALGORITHMS: Final = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
_TIMEOUT_S: Final = 10.0
_LONGEST: Final = 4096  # of a value in an answer
_SECRET: Final = "cto_"  # noqa: S105 - how a browser's secret begins


class ProviderError(GatewayError):
    """The provider cannot be used; the message says what to do."""


class SignInDenied(Denied):
    """The provider's answer lets nobody in; the message says why, without what it held."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider as it is configured; `redirect` is this gateway's address for the answer."""

    issuer: str
    client: str
    redirect: str
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Begun:
    """Where the browser goes, and the secret that it keeps meanwhile."""

    url: str
    secret: str = field(repr=False)


class RelyingParty:
    """The gateway as a client of one provider.

    Raises:
        ProviderError: issuer or redirect is no https address, nor one of this machine.
    """

    def __init__(self, provider: Provider) -> None:
        for address in (provider.issuer, provider.redirect):
            _check_address(address)
        self._provider = provider
        self._about: dict[str, Any] = {}
        self._about_ms = -KEPT_MS
        self._keys: list[Key] = []
        self._keys_ms = -KEPT_MS

    def begin(self, tower: Tower, now_ms: int, *, fresh: bool = False) -> Begun:
        """Begin a sign-in; with `fresh` the person has to prove who he is again, as for signing.

        Raises:
            ProviderError: the provider does not answer as it must.
        """
        about = self._published(now_ms)
        secret = secret_text.new(_SECRET)
        with tower.write() as connection:
            connection.execute(
                sa.delete(table).where(
                    sa.or_(
                        table.c.made_ms < now_ms - PENDING_MS,
                        table.c.made_ms > now_ms + PENDING_MS,
                    )
                )
            )
            connection.execute(
                sa.insert(table).values(
                    digest=secret_text.digest(secret),
                    issuer=self._provider.issuer,
                    made_ms=now_ms,
                )
            )
        more = {"prompt": "login", "max_age": 0} if fresh else {}
        with self._client() as client:
            url, _ = client.create_authorization_url(
                about["authorization_endpoint"],
                state=_made(secret, "state"),
                nonce=_made(secret, "nonce"),
                code_verifier=_made(secret, "verifier"),
                **more,
            )
        return Begun(str(url), secret)

    def finish(
        self, tower: Tower, answer: Mapping[str, str], secret: str, source: str, now_ms: int
    ) -> str:
        """Take the answer that the browser brings with its secret; return a session's secret.

        `answer` is the query of the redirect. Whatever comes of it, it is taken once.

        Raises:
            SignInDenied: it lets nobody in.
            ProviderError: the provider does not answer as it must.
        """
        claims = self._answered(tower, answer, secret, now_ms, fresh=False)
        with tower.write() as connection:
            account = self._account(connection, claims)
            return sessions.begin(
                connection, account, "OpenID Connect", throttle.network(source), now_ms
            )

    def prove(
        self, tower: Tower, answer: Mapping[str, str], secret: str, who: Who, now_ms: int
    ) -> Proof:
        """Prove once more, in a session, who one is: before a signature; begun with `fresh`.

        The components are those that the provider names (`amr`), or it alone.

        Raises:
            SignInDenied: it proves nothing, or another person.
            ProviderError: the provider does not answer as it must.
        """
        claims = self._answered(tower, answer, secret, now_ms, fresh=True)
        with tower.read() as connection:
            account = self._account(connection, claims)
        if account.id != who.account:
            raise SignInDenied("Somebody else has signed in there: sign in as yourself.")
        named = {word for word in claims.get("amr") or () if isinstance(word, str)}
        return Proof(account.name, frozenset(named or {"provider"}))

    def _answered(
        self,
        tower: Tower,
        answer: Mapping[str, str],
        secret: str,
        now_ms: int,
        *,
        fresh: bool,
    ) -> dict[str, Any]:
        about = self._published(now_ms)
        code = self._code(answer, secret, about)
        begun_ms = self._take(tower, secret, now_ms)
        claims = self._claims(about, code, secret, now_ms)
        _check_times(claims, begun_ms, fresh=fresh)
        return claims

    def _account(self, connection: Connection, claims: Mapping[str, Any]) -> Account:
        issuer, subject = self._provider.issuer, claims["sub"]
        account = accounts.by_identity(connection, issuer, subject)
        if account is None or account.disabled_ms is not None:
            raise SignInDenied(
                f"{printable(subject, 64)} at {issuer} is nobody here, or is disabled: an "
                "administrator adds people by issuer and subject (coldtrail gateway people add "
                "NAME --issuer URL --subject ID)."
            )
        return account

    def _code(self, answer: Mapping[str, str], secret: str, about: Mapping[str, Any]) -> str:
        given = {name: answer.get(name, "")[:_LONGEST] for name in ("state", "code", "iss")}
        state = _made(secret[: secret_text.LONGEST], "state")
        if not hmac.compare_digest(_bytes(given["state"]), _bytes(state)):
            raise SignInDenied("This answer belongs to no sign-in of this browser: sign in again.")
        # RFC 9207: an answer of another provider, sent here to have its code redeemed.
        told = about.get("authorization_response_iss_parameter_supported") is True
        if (told or given["iss"]) and given["iss"] != self._provider.issuer:
            raise SignInDenied("This answer is of another provider: sign in again.")
        if "error" in answer or not given["code"]:
            raise SignInDenied(
                f"The provider refuses ({printable(answer.get('error', 'no code'), 64)}): "
                "sign in again."
            )
        return given["code"]

    def _take(self, tower: Tower, secret: str, now_ms: int) -> int:
        """Return when the sign-in began, and see that nobody takes it again."""
        mine = (table.c.digest == secret_text.digest(secret)) & (
            table.c.issuer == self._provider.issuer
        )
        with tower.write() as connection:
            begun_ms = connection.scalar(sa.select(table.c.made_ms).where(mine))
            connection.execute(sa.delete(table).where(mine))
        if begun_ms is None or abs(now_ms - begun_ms) > PENDING_MS:
            raise SignInDenied("This sign-in is over, or has taken too long: sign in again.")
        return int(begun_ms)

    def _claims(
        self, about: Mapping[str, Any], code: str, secret: str, now_ms: int
    ) -> dict[str, Any]:
        provider = self._provider
        try:
            with self._client() as client:
                answer = client.fetch_token(
                    about["token_endpoint"],
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=_made(secret, "verifier"),
                )
            raw = str(answer["id_token"])
            header = jws.extract_compact(raw.encode()).headers()
            token = jwt.decode(raw, self._key(header, now_ms), algorithms=_ALGORITHMS)
            claims = CodeIDToken(
                token.claims,
                token.header,
                {
                    "iss": {"essential": True, "value": provider.issuer},
                    "aud": {"essential": True, "value": provider.client},
                },
                {
                    "nonce": _made(secret, "nonce"),
                    "client_id": provider.client,
                    "access_token": answer.get("access_token"),
                },
            )
            claims.validate(now_ms // 1000, LEEWAY_S)
            _check_shape(claims)
        except (AuthlibBaseError, JoseError, httpx2.HTTPError) as error:
            raise SignInDenied(
                f"The provider's answer is not good ({type(error).__name__}): sign in again."
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            raise SignInDenied("The provider's answer cannot be read: sign in again.") from None
        return dict(claims)

    def _key(self, header: Mapping[str, Any], now_ms: int) -> Key:
        """Return the provider's key that a header names; a new one is looked for, now and then."""
        age = abs(now_ms - self._keys_ms)
        found = _named(self._keys, header.get("kid")) if age < KEPT_MS else []
        if not found and age >= AGAIN_MS:
            keys = self._fetch(self._published(now_ms)["jwks_uri"])
            self._keys, self._keys_ms = list(KeySet.import_key_set(keys)), now_ms  # type: ignore[arg-type]
            found = _named(self._keys, header.get("kid"))
        if len(found) != 1:
            raise SignInDenied("The ID token is under no key of the provider: sign in again.")
        return found[0]

    def _published(self, now_ms: int) -> Mapping[str, Any]:
        if abs(now_ms - self._about_ms) >= KEPT_MS:
            issuer = self._provider.issuer
            about = self._fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if about.get("issuer") != issuer:
                raise ProviderError(
                    f"{issuer} calls itself {printable(str(about.get('issuer')), 64)}: configure "
                    "the issuer exactly as it does."
                )
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                _check_address(str(about.get(name)))
            self._about, self._about_ms = about, now_ms
        return self._about

    def _fetch(self, url: str) -> dict[str, Any]:
        try:
            answer = httpx2.get(url, timeout=_TIMEOUT_S).raise_for_status()
            document = answer.json()
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise ProviderError(
                f"{url} does not answer as a provider does ({type(error).__name__}): check the "
                "issuer, and whether this machine reaches it."
            ) from None
        if not isinstance(document, dict):
            raise ProviderError(f"{url} does not answer as a provider does: check the issuer.")
        return document

    def _client(self) -> Any:
        provider = self._provider
        return OAuth2Client(
            client_id=provider.client,
            client_secret=provider.secret,
            redirect_uri=provider.redirect,
            scope="openid",
            code_challenge_method="S256",
            timeout=_TIMEOUT_S,
        )


def _made(secret: str, purpose: str) -> str:
    """Return a value that only who knows the secret can make, and that tells nothing of it."""
    made = hmac.digest(_bytes(secret), _bytes(purpose), sha256)
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _named(keys: list[Key], kid: object) -> list[Key]:
    return [key for key in keys if kid is None or key.kid == kid]


def _check_shape(claims: Mapping[str, Any]) -> None:
    subject = claims["sub"]
    if not isinstance(subject, str) or not 1 <= len(subject) <= 255 or not subject.isprintable():
        raise ValueError("sub")


def _check_times(claims: Mapping[str, Any], begun_ms: int, *, fresh: bool) -> None:
    """Refuse a token from before this sign-in, and with `fresh` a proof from before it."""
    earliest = begun_ms // 1000 - LEEWAY_S
    if claims["iat"] < earliest:
        raise SignInDenied("The ID token is older than this sign-in: sign in again.")
    if fresh and not claims.get("auth_time", 0) >= earliest:
        raise SignInDenied("The provider did not ask for a proof again: sign in again.")


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    local = host in ("localhost", "127.0.0.1", "::1")
    if not host or parts.scheme not in (("https", "http") if local else ("https",)):
        raise ProviderError(f"{printable(url, 200)} is no https address: nobody signs in by it.")
