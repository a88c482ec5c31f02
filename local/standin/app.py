"""The HTTP routes: OpenAI's API under /v1, its sample web under /sources, and the tests' desk under /_standin."""

import asyncio
import hashlib
import time
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, Field, ValidationError

from .calls import Call, Calls
from .delivery import Delivery, play
from .faults import RULES_MAX, SECONDS_MAX, Do, Rule, fault_for
from .jobs import ImageRequest, TextRequest, job_of
from .replies import Reply, error, json_reply, reply_to
from .searches import find_page

MODELS = ("gpt-6-luna", "gpt-6-sol", "gpt-6-astra", "gpt-image-2.6-flare", "gpt-image-2.6-sunburst")

router = APIRouter()


class Desk:
    """Where the calls come in: lists them, asks the plan what to do to them, and has them answered."""

    def __init__(self, latency_s: float) -> None:
        self.calls = Calls()
        self.rules: list[Rule] = []
        self.latency_s = latency_s

    async def take(self, http: Request, shape: type[TextRequest] | type[ImageRequest]) -> Delivery:
        begun = time.monotonic()
        body = await http.body()
        try:
            request, fault = shape.model_validate_json(body), None
        except ValidationError as problem:
            request, fault = nothing_asked(shape), Do(status=400, message=str(problem))
        job = job_of(request)
        call = self.calls.open(job, request.model)
        call.client_request_id = http.headers.get("x-client-request-id")
        call.question = hashlib.sha256(body).hexdigest()
        if not has_key(http):
            fault = Do(status=401)
        fault = fault or fault_for(job, self.rules)
        call.code, call.retry_after, call.is_spoilt = fault.code, fault.retry_after, fault.spoils
        if fault.hang or fault.reset:
            reply = Reply([])
        else:  # in a thread, because a picture takes long enough to hold up every other call
            reply = await asyncio.to_thread(reply_to, request, job, fault, str(http.base_url))
        transport = http.scope["state"]["transport"]
        return Delivery(reply, call, play(reply, fault, call, transport, begun=begun, seconds=self.latency_s))


def nothing_asked(shape: type[TextRequest] | type[ImageRequest]) -> TextRequest | ImageRequest:
    return ImageRequest(model="", prompt="") if shape is ImageRequest else TextRequest(model="", input="")


def has_key(http: Request) -> bool:
    scheme, _, key = http.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and key.strip() not in ("", "wrong-key")


def whole(reply: Reply) -> Response:
    return Response(b"".join(reply.pieces), reply.status, reply.headers, reply.media_type)


def desk_of(http: Request) -> Desk:
    return http.app.state.desk


TheDesk = Annotated[Desk, Depends(desk_of)]


@router.post("/v1/responses")
async def create_response(http: Request, desk: TheDesk) -> Delivery:
    return await desk.take(http, TextRequest)


@router.post("/v1/images/generations")
async def generate_image(http: Request, desk: TheDesk) -> Delivery:
    return await desk.take(http, ImageRequest)


@router.get("/v1/models")
async def list_models(http: Request) -> Response:
    models = [{"id": name, "object": "model", "created": 1_780_000_000, "owned_by": "stand-in"} for name in MODELS]
    return whole(json_reply({"object": "list", "data": models}) if has_key(http) else error(401))


@router.get("/sources/{slug}")
async def show_source(slug: str) -> HTMLResponse:
    page = find_page(slug)
    return HTMLResponse(page.as_html()) if page else HTMLResponse("No such sample page.", 404)


@router.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/_standin/calls")
async def list_calls(desk: TheDesk) -> list[Call]:
    return list(desk.calls.kept)


@router.delete("/_standin/calls", status_code=204)
async def forget_calls(desk: TheDesk) -> None:
    desk.calls.reset()


Rules = Annotated[list[Rule], Field(max_length=RULES_MAX)]


@router.get("/_standin/rules")
async def list_rules(desk: TheDesk) -> list[Rule]:
    return desk.rules


@router.put("/_standin/rules")
async def replace_rules(rules: Rules, desk: TheDesk) -> list[Rule]:
    desk.rules = rules
    return rules


@router.post("/_standin/rules")
async def add_rule(rule: Rule, desk: TheDesk) -> list[Rule]:
    desk.rules = [*desk.rules, rule][-RULES_MAX:]
    return desk.rules


@router.delete("/_standin/rules", status_code=204)
async def clear_rules(desk: TheDesk) -> None:
    desk.rules = []


class Latency(BaseModel):
    seconds: float = Field(ge=0, le=SECONDS_MAX)


@router.put("/_standin/latency")
async def set_latency(latency: Latency, desk: TheDesk) -> Latency:
    desk.latency_s = latency.seconds
    return latency


async def unknown_path(http: Request, _problem: Exception) -> Response:
    return whole(error(404, "unknown_url", f"Invalid URL ({http.method} {http.url.path})"))


def create_app(latency_s: float) -> FastAPI:
    app = FastAPI(openapi_url=None, exception_handlers={404: unknown_path})
    app.state.desk = Desk(latency_s)
    app.include_router(router)
    return app
