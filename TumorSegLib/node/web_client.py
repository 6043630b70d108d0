"""What speaks to a DICOMweb service."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from TumorSegLib.node.secret import secret_in
from TumorSegLib.node.settings import SendByWeb, Watch

if TYPE_CHECKING:
    import requests

TIMEOUT_SECONDS = 60.0


def web_session(to: SendByWeb | Watch) -> requests.Session:
    """Return a session that shows who the node is and ends no call later than a minute of silence.

    Raises:
        OSError: the file of the password cannot be read.
    """
    import requests

    session = requests.Session()
    session.request = partial(session.request, timeout=TIMEOUT_SECONDS)
    session.trust_env = False
    if to.tls is not None:
        session.verify = to.tls.authorities or True
        session.cert = (to.tls.certificate, to.tls.key) if to.tls.certificate else None
    if to.password_file is not None:
        secret = secret_in(to.password_file, is_token=to.user is None)
        if to.user is not None:  # as bytes: requests encodes texts in Latin-1 alone
            session.auth = (to.user.encode(), secret.encode())
        else:
            session.headers["Authorization"] = f"Bearer {secret}"
    return session


def web_client(to: SendByWeb | Watch) -> Any:
    """Return a client of dicomweb-client on such a session.

    Raises:
        OSError: the file of the password cannot be read.
    """
    from dicomweb_client import DICOMwebClient

    logging.getLogger("dicomweb_client").setLevel(logging.CRITICAL + 1)  # it quotes addresses
    client = DICOMwebClient(to.url, session=web_session(to))
    client.set_http_retry_params(retry=False)
    return client
