"""Rooms: found by their names, and what is done with one."""

from __future__ import annotations

from quart.typing import ResponseReturnValue

from palpo.admin.pages import AdminPages, Done, administrator, count_of_pages, day_ms, path_of, show
from palpo.api.call import Call
from palpo.api.pages.browsers import Form
from palpo.core.errors import InvalidParam
from palpo.core.identifiers import parse_user_id
from palpo.core.records.rooms import RoomOrder
from palpo.services.administration.history_purge import Point
from palpo.services.administration.room_deletion import DeletionWish
from palpo.services.administration.room_lists import RoomQuery
from palpo.wire.pages import admin as wire

blueprint = AdminPages("rooms", __name__)

SHOWN_MEMBERS = 200


@blueprint.serves(wire.rooms)
async def rooms(call: Call, params: wire.ListParams) -> ResponseReturnValue:
    """GET /_palpo/admin/rooms."""
    query = RoomQuery(search=params.search.strip() or None, order=RoomOrder.JOINED_MEMBERS)
    total, found = await call.services.administration.room_lists.find(
        query, skipped=params.skipped, limit=wire.PAGE
    )
    return await show(
        "rooms.html",
        call,
        rooms=found,
        total=total,
        search=params.search,
        page=params.page,
        pages_of=count_of_pages(total, wire.PAGE),
    )


@blueprint.serves(wire.room)
async def room(call: Call, params: wire.RoomParams) -> ResponseReturnValue:
    """GET /_palpo/admin/rooms/{name}."""
    administration, history = call.services.administration, call.services.history
    members = await administration.rooms.members(params.name)
    head = await history.room_heads.get(params.name)
    return await show(
        "room.html",
        call,
        details=await administration.room_lists.details(params.name),
        members=members[:SHOWN_MEMBERS],
        member_count=len(members),
        blocked=await administration.rooms.blocked(params.name),
        jobs=await call.services.server.jobs.find(target=params.name),
        extremities=len(head.row.extremities),
        retention=history.retention.enabled,
        cutoff=await history.retention.cutoff(head) if history.retention.enabled else None,
        room_id=params.name,
    )


@blueprint.action(wire.change_room)
async def change_room(call: Call, params: wire.RoomParams, form: Form) -> Done:
    """POST /_palpo/admin/rooms/{name}: does what the field ``do`` says."""
    what, room_id = form.get("do", ""), params.name
    rooms, by = call.services.administration.rooms, (await administrator(call)).user_id
    if what in ("block", "unblock"):
        await rooms.set_blocked(room_id, by, blocked=what == "block")
        text = "Nobody here can join it" if what == "block" else "It can be joined again"
    elif what == "make_admin":
        user_id = parse_user_id(form.get("user_id", "").strip())
        await rooms.make_admin(room_id, user_id)
        text = f"{user_id} has been made an administrator of the room"
    elif what == "merge":
        gone = await rooms.merge_extremities(room_id)
        text = f"Ends that are gone: {gone}"
    else:
        raise InvalidParam("That cannot be done with a room")
    return Done(text=text, then="/rooms" + path_of(room_id), target=room_id)


@blueprint.action(wire.delete_room)
async def delete_room(call: Call, params: wire.RoomParams, form: Form) -> Done:
    """POST /_palpo/admin/rooms/{name}/delete: begins a job, which shows how far it is."""
    wish = DeletionWish(block="block" in form, purge="keep" not in form)
    by = (await administrator(call)).user_id
    job = await call.services.administration.room_deletion.start(params.name, wish, by=by)
    return Done(text="The room is being deleted", then="/jobs" + path_of(job.job_id), target=params.name)


@blueprint.action(wire.purge_room)
async def purge_room(call: Call, params: wire.RoomParams, form: Form) -> Done:
    """POST /_palpo/admin/rooms/{name}/purge: begins a job; ``before`` is a day, in UTC."""
    purge = call.services.administration.history_purge
    before = await purge.before_time(params.name, day_ms(form.get("before", "")))
    point = Point(before=before, local_too="local_too" in form)
    job = await purge.start(params.name, point, by=(await administrator(call)).user_id)
    return Done(text="Its history is being deleted", then="/jobs" + path_of(job.job_id), target=params.name)
