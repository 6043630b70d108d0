"""What answers requests: who may, what is offered, and orders taken in before they are carried out.

An order is refused as soon as it is known that it will be, in this sequence: token, order, model,
length, room. Only then its voxels are read, into the memory that it is segmented in.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from TumorSegLib.errors import InputError, ModelError, fault
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.remote.protocol import (
    FORMAT,
    MODELS_PATH,
    ORDER_HEADER,
    SEGMENT_PATH,
    Order,
    Refused,
    Welcome,
    to_text,
)
from TumorSegLib.server.course import Course
from TumorSegLib.server.limits import Limits
from TumorSegLib.server.order_memory import OrderMemory, needed
from TumorSegLib.server.queue import MIB, Queue, RefusedOrder, Ticket
from TumorSegLib.server.replicas import Replicas
from TumorSegLib.server.shelf import Shelf
from TumorSegLib.server.streaming import FrameResponse
from TumorSegLib.server.tokens import TokenFile
from TumorSegLib.support.schema import SchemaError, from_dict, parsed
from TumorSegLib.support.version import __version__

LOG = logging.getLogger("tumorseg.server")

LONGEST_AXIS = 65535
"""In voxels; DICOM has no longer one, and memory is taken for each slice."""

STATUS = {
    "token": 401,
    "order": 400,
    "model": 404,
    "length": 411,
    "size": 413,
    "busy": 503,
    "slow": 408,
    "ending": 503,
}
"""HTTP's status by `Refused.reason`."""


class Service:
    """A server, but for HTTP's own: see `app`.

    Attributes:
        queue: of orders.
    """

    def __init__(self, tokens: TokenFile, limits: Limits, replicas: Replicas) -> None:
        self.queue = Queue(limits, replicas.most)
        self._shelf = Shelf()
        self._tokens, self._limits, self._replicas = tokens, limits, replicas

    async def health(self, request: Request) -> Response:
        """Say that the server is there, to anybody."""
        return Response("ok\n", media_type="text/plain")

    async def models(self, request: Request) -> Response:
        """Say what there is, to users."""
        try:
            self._user(request)
            offers = await asyncio.to_thread(self._shelf.offers)
        except RefusedOrder as refusal:
            return _refusal(refusal)
        welcome = Welcome(
            FORMAT,
            __version__,
            offers,
            self._limits.body_bytes,
            self.queue.running,
            self.queue.waiting,
            self._limits.queue,
        )
        return Response(to_text(welcome), media_type="application/json")

    async def segment(self, request: Request) -> Response:
        """Take in an order and answer with its frames, or refuse it."""
        began = time.monotonic()
        user, ticket = "-", None
        try:
            user = self._user(request)
            order = _order(request)
            model = await asyncio.to_thread(self._model, order)
            self._check_length(request, order)
            size = needed(order, len(model.specification.labels))
            ticket = self.queue.enter(user, size)
            memory = await self._filled(request, order, len(model.specification.labels))
            return self._answer(order, memory, ticket, began)
        except (RefusedOrder, ClientDisconnect) as error:
            if ticket is not None:
                self.queue.leave(ticket)
            if isinstance(error, ClientDisconnect):
                LOG.info("%s: went while sending", user)
                return Response(status_code=400)
            LOG.info("%s: refused (%s)", user, error.reason)
            return _refusal(error)
        except BaseException:
            if ticket is not None:
                self.queue.leave(ticket)
            raise

    def _answer(
        self, order: Order, memory: OrderMemory, ticket: Ticket, began: float
    ) -> FrameResponse:
        course = Course(order, memory, ticket, self.queue, self._replicas)

        def ended(error: Exception | None) -> None:
            memory.unlink()
            self.queue.leave(ticket)
            if error is not None:
                course.outcome = "failed"
                LOG.error("order %d of %s: %s", ticket.number, ticket.user, fault(error))
            LOG.info(
                "order %d of %s: %s on %s, %s after %.1f s",
                ticket.number,
                ticket.user,
                order.model.id,
                "x".join(map(str, order.first.shape)),
                course.outcome,
                time.monotonic() - began,
            )

        return FrameResponse(course.run, ended, patience_seconds=self._limits.write_seconds)

    def _user(self, request: Request) -> str:
        """Return whose token the request has.

        Raises:
            RefusedOrder: it is nobody's.
        """
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise RefusedOrder("token", "asks for a token, and none was sent")
        try:
            user = self._tokens.user_of(secret.strip())
        except InputError as error:
            LOG.error("%s", error)
            raise RefusedOrder("busy", "cannot look up tokens just now") from None
        if user is None:
            line = "does not know this token, or it has expired or been revoked; ask for a new one"
            raise RefusedOrder("token", line)
        return user

    def _model(self, order: Order) -> Bundle:
        """Return the model that is asked for.

        Raises:
            RefusedOrder: it is not here, or the order does not fit it.
        """
        try:
            bundle = self._shelf.find(order.model)
            if order.detector is not None:
                self._shelf.find(order.detector)
        except ModelError as error:
            raise RefusedOrder("model", str(error)) from None
        channels = [channel.name for channel in bundle.specification.input.channels]
        if bundle.specification.task != "segmentation" or set(order.volumes) - set(channels):
            line = f"{bundle.id} takes {', '.join(channels)}, for a segmentation"
            raise RefusedOrder("order", line)
        return bundle

    def _check_length(self, request: Request, order: Order) -> None:
        """Refuse bodies that are too large, or not of the length that the order says.

        Raises:
            RefusedOrder: it is one.
        """
        declared = request.headers.get("content-length", "")
        if not re.fullmatch(r"[0-9]{1,15}", declared):
            raise RefusedOrder("length", "asks for the length of the voxels (Content-Length)")
        longest = max(max(volume.shape) for volume in order.volumes.values())
        if longest > LONGEST_AXIS:
            raise RefusedOrder("size", f"takes {LONGEST_AXIS} voxels along an axis at most")
        if max(int(declared), order.bytes) > self._limits.body_bytes:
            line = f"takes {self._limits.body_bytes // MIB} MiB of voxels at most"
            raise RefusedOrder("size", line)
        if int(declared) != order.bytes:
            line = f"the order has {order.bytes} bytes of voxels, {declared} are announced"
            raise RefusedOrder("order", line)

    async def _filled(self, request: Request, order: Order, labels: int) -> OrderMemory:
        """Return memory with the voxels that the client sends.

        Raises:
            RefusedOrder: there is no memory, or they come too slowly.
            ClientDisconnect: they do not all come.
        """
        try:
            memory = await asyncio.to_thread(OrderMemory.create, order, labels)
        except OSError:
            line = "has no shared memory left for this order; try again later"
            raise RefusedOrder("busy", line) from None
        try:
            async with asyncio.timeout(self._limits.body_seconds(order.bytes)):
                await self._read(aiter(request.stream()), memory)
        except TimeoutError:
            memory.unlink()
            raise RefusedOrder("slow", "the voxels came too slowly; try again") from None
        except BaseException:
            memory.unlink()
            raise
        return memory

    async def _read(self, stream: AsyncIterator[bytes], memory: OrderMemory) -> None:
        """Read all voxels, each to its place.

        Raises:
            TimeoutError: nothing comes for too long.
        """
        chunk = memoryview(b"")
        for buffer in memory.buffers().values():
            filled = 0
            while filled < len(buffer):
                if not chunk:
                    async with asyncio.timeout(self._limits.read_seconds):
                        chunk = memoryview(await anext(stream))
                    continue
                part = chunk[: len(buffer) - filled]
                buffer[filled : filled + len(part)] = part
                filled += len(part)
                chunk = chunk[len(part) :]


def app(service: Service) -> FastAPI:
    """Return what uvicorn runs."""
    made = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    made.add_api_route("/health", service.health, response_model=None)
    made.add_api_route(MODELS_PATH, service.models, response_model=None)
    made.add_api_route(SEGMENT_PATH, service.segment, methods=["POST"], response_model=None)
    return made


def _refusal(refusal: RefusedOrder) -> Response:
    content = to_text(Refused(refusal.reason, refusal.message))
    headers = {"Connection": "close"}
    if refusal.reason == "token":
        headers["WWW-Authenticate"] = "Bearer"
    status = STATUS[refusal.reason]
    return Response(content, status, headers, media_type="application/json")


def _order(request: Request) -> Order:
    """Return what is asked for.

    Raises:
        RefusedOrder: it is no order of this version.
    """
    try:
        order: Order = from_dict(Order, parsed(request.headers.get(ORDER_HEADER, "")))
    except (SchemaError, ValueError):
        raise RefusedOrder(
            "order", "cannot read the order; is the client of its version?"
        ) from None
    if order.format != FORMAT or not order.volumes:
        raise RefusedOrder("order", f"takes orders of format {FORMAT}, with a volume at least")
    return order
