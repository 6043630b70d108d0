"""What a node is told in its file of settings: whom it hears, what it does, where results go."""

from __future__ import annotations

import ipaddress
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from TumorSegLib.errors import InputError
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.node.rules import Rule
from TumorSegLib.node.secret import secret_in
from TumorSegLib.support.schema import SchemaError, from_dict
from TumorSegLib.support.text_coding import decoded

LONGEST_TITLE = 16
"""Characters of an application entity's title (value representation AE)."""
LONGEST_FILE = 1 << 20


@dataclass(frozen=True)
class ServerTls:
    """TLS of the side that is called.

    Attributes:
        certificate: file with the node's certificate and those above it, PEM.
        key: file of its private key, PEM.
        authorities: file of certificates, PEM, one of which has to have signed the caller's; None:
            callers show none.
    """

    certificate: str
    key: str
    authorities: str | None = None


@dataclass(frozen=True)
class ClientTls:
    """TLS of the side that calls.

    Attributes:
        authorities: file of certificates, PEM, one of which has signed the other side's; None:
            those of the system.
        certificate: file with the certificate that the node shows, PEM; None: none.
        key: file of its private key, PEM.
    """

    authorities: str | None = None
    certificate: str | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together; name both or none")


@dataclass(frozen=True)
class Receive:
    """Whom the node hears, by C-STORE.

    Attributes:
        callers: titles of application entities that may send; "*" for every one.
        ae_title: by which they call the node.
        host: address of this computer on which it listens.
        port: on which it listens.
        addresses: computers or networks that may send ("10.1.0.5", "10.1.0.0/16"); none: all.
        quiet_seconds: after which a series to which nothing was added is complete.
        study_quiet_seconds: likewise a study, for models of several sequences.
        rest_minutes: for which the rest is waited for after a connection broke or images were
            refused.
        tls: None: not encrypted.
    """

    callers: tuple[str, ...]
    ae_title: str = "TUMORSEG"
    host: str = "127.0.0.1"
    port: int = 11112
    addresses: tuple[str, ...] = ()
    quiet_seconds: float = 30.0
    study_quiet_seconds: float = 300.0
    rest_minutes: float = 60.0
    tls: ServerTls | None = None

    def __post_init__(self) -> None:
        _check_title(self.ae_title)
        _check_port(self.port)
        if not self.callers:
            raise ValueError('callers: name who may send, or ["*"] for everybody')
        for title in self.callers:
            _check_title(title)
        for address in self.addresses:
            ipaddress.ip_network(address, strict=False)
        if min(self.quiet_seconds, self.study_quiet_seconds, self.rest_minutes) < 0:
            raise ValueError("a time is negative")

    @property
    def titles(self) -> list[str]:
        """Of those that may send, as pynetdicom takes them; none: all."""
        return [] if "*" in self.callers else list(self.callers)

    @cached_property
    def networks(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        """Of those that may send; none: all."""
        return [ipaddress.ip_network(address, strict=False) for address in self.addresses]


@dataclass(frozen=True)
class SendByStore:
    """Results go to an application entity by C-STORE.

    Attributes:
        host: its address.
        port: on which it listens.
        ae_title: of it.
        calling: title of the node; None: the one by which it receives.
        tls: None: not encrypted.
    """

    kind: ClassVar[str] = "c-store"
    host: str
    port: int
    ae_title: str
    calling: str | None = None
    tls: ClientTls | None = None

    def __post_init__(self) -> None:
        _check_title(self.ae_title)
        _check_port(self.port)
        if self.calling is not None:
            _check_title(self.calling)

    def __str__(self) -> str:
        return f"{self.ae_title} at {self.host}:{self.port}"


@dataclass(frozen=True)
class SendByWeb:
    """Results go to a DICOMweb service by STOW-RS.

    Attributes:
        url: of the service ("https://pacs/dicom-web").
        user: name for basic authentication.
        password_file: with the password, or the token where there is no `user`.
        tls: of https; None: the system's authorities.
    """

    kind: ClassVar[str] = "stow-rs"
    url: str
    user: str | None = None
    password_file: str | None = None
    tls: ClientTls | None = None

    def __post_init__(self) -> None:
        _check_url(self.url)
        if self.user is not None and self.password_file is None:
            raise ValueError("user: name a password_file, too")

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class Watch:
    """Series of a DICOMweb service are looked for and fetched, by QIDO-RS and WADO-RS.

    Attributes:
        url, user, password_file, tls: as of `SendByWeb`.
        every_seconds: it is asked.
        days: of studies that are looked for, today's included.
    """

    url: str
    user: str | None = None
    password_file: str | None = None
    tls: ClientTls | None = None
    every_seconds: float = 60.0
    days: int = 2

    def __post_init__(self) -> None:
        _check_url(self.url)
        if self.every_seconds <= 0 or self.days < 1:
            raise ValueError("every_seconds and days: expected more than 0")


@dataclass(frozen=True)
class Run:
    """How models are run.

    Attributes:
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        precision: "auto", "fp32" or "bf16".
        threads: that the network computes with; None: PyTorch's choice.
        report: send a structured report with the measurements, too.
    """

    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    report: bool = True

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise ValueError("threads: expected 1 or more")

    @property
    def options(self) -> RunOptions:
        """For a model."""
        return RunOptions(device=self.device, precision=self.precision)


@dataclass(frozen=True)
class NodeSettings:
    """All that a node is told.

    Attributes:
        folder: of its queue and of the images under way; for its user alone.
        send: where results go.
        rule: which model segments what; the first that fits counts.
        receive: None: nothing is received by C-STORE.
        watch: None: no DICOMweb service is watched.
        run: how models are run.
        give_up_hours: after which a result that is not accepted is given up.
        reserve_mb: of the disk, that images leave free.
        remember_days: for which a series is known as done.
        page_port: of the page of status, on this computer alone; 0: none.
    """

    folder: str
    send: SendByStore | SendByWeb
    rule: tuple[Rule, ...]
    receive: Receive | None = None
    watch: Watch | None = None
    run: Run = field(default_factory=Run)
    give_up_hours: float = 72.0
    reserve_mb: float = 1000.0
    remember_days: float = 90.0
    page_port: int = 8106

    def __post_init__(self) -> None:
        if self.receive is None and self.watch is None:
            raise ValueError("expected [receive], [watch] or both: nothing would ever come")
        if not self.rule:
            raise ValueError("expected a [[rule]] or more: nothing would be segmented")
        if self.page_port:
            _check_port(self.page_port)
        if self.reserve_mb < 0 or self.give_up_hours <= 0 or self.remember_days <= 0:
            raise ValueError("reserve_mb, give_up_hours, remember_days: expected more than 0")

    @property
    def place(self) -> Path:
        """The folder as a path."""
        return Path(self.folder).expanduser()

    @property
    def quiet_seconds(self) -> float:
        """After which a series is complete; one that is fetched comes whole."""
        return 0.0 if self.receive is None else self.receive.quiet_seconds

    @property
    def study_quiet_seconds(self) -> float:
        """Likewise for a study, whose series may be fetched one after the other."""
        asked = 0.0 if self.watch is None else 2 * self.watch.every_seconds
        return asked if self.receive is None else max(asked, self.receive.study_quiet_seconds)

    @property
    def rest_seconds(self) -> float:
        """For which the rest of a series is waited for."""
        return 3600.0 if self.receive is None else 60 * self.receive.rest_minutes

    @property
    def files(self) -> list[str]:
        """Paths of all files that are named."""
        parts = [self.send, self.receive, self.watch]
        holders = [*parts, *(getattr(part, "tls", None) for part in parts)]
        names = ("certificate", "key", "authorities", "password_file")
        found = [getattr(one, name, None) for one in holders for name in names]
        return [name for name in found if name]


def read_settings(path: Path) -> NodeSettings:
    """Return what a file of settings says.

    Raises:
        InputError: it cannot be read, or says what no node can do.
    """
    try:
        with path.open("rb") as file:
            text = decoded(file.read(LONGEST_FILE))
        settings = from_dict(NodeSettings, tomllib.loads(text))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not TOML: {error}") from None
    except SchemaError as error:
        raise InputError(f"{path}: {error}") from None
    for name in settings.files:
        if not Path(name).is_file():
            raise InputError(f"{path}: {name}: found no such file")
    for to in (settings.send, settings.watch):
        if isinstance(to, SendByWeb | Watch) and to.password_file is not None:
            try:
                secret_in(to.password_file, is_token=to.user is None)
            except OSError as error:
                raise InputError(f"{path}: {to.password_file}: {error.strerror}") from None
    return settings


def _check_title(title: str) -> None:
    if not title.strip() or len(title) > LONGEST_TITLE or not title.isascii() or "\\" in title:
        raise ValueError(
            f"{title!r} is no title of an application entity: 1 to {LONGEST_TITLE} characters"
        )


def _check_port(port: int) -> None:
    if not 0 < port < 1 << 16:
        raise ValueError(f"{port} is no port: expected 1 to 65535")


def _check_url(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"url: found {url!r}, expected http://... or https://...")
