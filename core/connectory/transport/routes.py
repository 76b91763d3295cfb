"""The way to a host: directly or by the environment's proxy, trusting the environment's CAs; and its pools."""

from __future__ import annotations

import ipaddress
import os
import ssl
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import attrs
from urllib3 import HTTPConnectionPool, PoolManager, ProxyManager
from urllib3.response import BaseHTTPResponse
from urllib3.util import make_headers

from connectory.errors import SettingError
from connectory.messages import Request
from connectory.transport.options import TransportOptions
from connectory.transport.sanity import is_loopback
from connectory.transport.wire import POOLS

CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


def trust() -> ssl.SSLContext:
    """What certificates must chain to: the CAs that SSL_CERT_FILE and SSL_CERT_DIR, else REQUESTS_CA_BUNDLE name,
    else the machine's own. Raises SettingError, naming the variable, where it leads to no certificates.

    Read once a process for the same variables, for it takes 20 ms and a megabyte.
    """
    return _trust(*(os.environ.get(name, "") for name in CA_VARIABLES))


@lru_cache(maxsize=8)
def _trust(file: str, folder: str, bundle: str) -> ssl.SSLContext:
    for name, value, fits in (("SSL_CERT_FILE", file, Path.is_file), ("SSL_CERT_DIR", folder, Path.is_dir)):
        if value and not any(fits(Path(part)) for part in [value, *value.split(os.pathsep)]):
            raise SettingError(f"{name} names '{value}', which is not there or is not a {name[9:].lower()}")
    if not (file or folder) and bundle:
        if not Path(bundle).exists():
            raise SettingError(f"REQUESTS_CA_BUNDLE names '{bundle}', which is not there")
        file, folder = ("", bundle) if Path(bundle).is_dir() else (bundle, "")
    try:
        return ssl.create_default_context(cafile=file or None, capath=folder or None)
    except (ssl.SSLError, OSError) as error:
        why = getattr(error, "strerror", "") or "it holds no certificates in PEM form"
        raise SettingError(f"the certificates of '{file or folder}' cannot be read: {why}") from None


def proxy_for(scheme: str, host: str, port: int) -> str:
    """The proxy URL that the environment names for a host, or an empty text.

    HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY in either case, the lower winning. NO_PROXY may hold names,
    suffixes, `*`, and networks such as 10.0.0.0/8. This machine itself is never asked for through a proxy.
    """
    proxies = getproxies_environment()
    proxy = proxies.get(scheme) or proxies.get("all") or ""
    if not proxy or is_loopback(host) or proxy_bypass_environment(f"{host}:{port}", proxies):
        return ""
    if _in_networks(host, proxies.get("no", "")):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _in_networks(host: str, no_proxy: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for word in no_proxy.split(","):
        try:
            if address in ipaddress.ip_network(word.strip(), strict=False):
                return True
        except ValueError:
            continue  # a name
    return False


@attrs.frozen
class Route:
    """How one origin is reached. `via` is empty, or how messages name the proxy.

    `forwarded` requests name the whole URL to a proxy that reads them; all others go to the origin's own `pool`.
    """

    manager: PoolManager
    pool: HTTPConnectionPool
    via: str = ""
    forwarded: bool = False

    def open(self, request: Request, **options: Any) -> BaseHTTPResponse:
        """Send a request on this route, as urllib3's `urlopen` does."""
        if self.forwarded:
            return self.manager.urlopen(request.method, request.full_url, **options)
        return self.pool.urlopen(request.method, request.target, **options)


class Routes:
    """The routes of one process, made when first asked for. Threads may share it; processes may not."""

    def __init__(self, options: TransportOptions) -> None:
        self.pid = os.getpid()
        self._options = options
        self._lock = threading.Lock()
        self._by_origin: dict[tuple[str, str, int], Route] = {}
        self._managers: dict[tuple[str, bool], PoolManager] = {}

    def to(self, parts: SplitResult) -> Route:
        """The route to a URL's origin. Raises SettingError where the environment's proxy or CA is unusable."""
        host = parts.hostname or ""
        origin = (parts.scheme, host, parts.port or (443 if parts.scheme == "https" else 80))
        route = self._by_origin.get(origin)
        if route is None:
            with self._lock:
                route = self._by_origin[origin] = self._find(*origin)
        return route

    def close(self) -> None:
        """Close all idle connections; those in use close when their exchange ends."""
        with self._lock:
            for manager in self._managers.values():
                manager.clear()
            self._managers.clear()
            self._by_origin.clear()

    def _find(self, scheme: str, host: str, port: int) -> Route:
        proxy = proxy_for(scheme, host, port)
        parts = urlsplit(proxy)
        if proxy and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise SettingError(f"the environment's proxy for {scheme} must be an http:// or https:// URL with a host")
        secure = scheme == "https" or parts.scheme == "https"
        manager = self._managers.get((proxy, secure))
        if manager is None:
            manager = self._managers[proxy, secure] = self._manager(proxy, secure)
        via = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}" if proxy else ""
        pool = manager.connection_from_host(host, port, scheme)
        return Route(manager, pool, via, forwarded=bool(proxy) and scheme == "http")

    def _manager(self, proxy: str, secure: bool) -> PoolManager:
        context = trust() if secure else None
        common: dict[str, Any] = {"num_pools": 64, "maxsize": self._options.pool_size, "ssl_context": context}
        manager = _proxied(proxy, context, common) if proxy else PoolManager(**common)
        manager.pool_classes_by_scheme = POOLS
        return manager


def _proxied(proxy: str, context: ssl.SSLContext | None, common: dict[str, Any]) -> ProxyManager:
    parts = urlsplit(proxy)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    bare = f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
    user = None
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    headers = make_headers(proxy_basic_auth=user)
    return ProxyManager(bare, proxy_headers=headers, proxy_ssl_context=context, **common)
