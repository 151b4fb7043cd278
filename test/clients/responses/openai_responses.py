"""What a Python application does with responses and conversations, told as one JSON object. Argument: the base URL."""
import json
import sys
import time

import openai
from openai.types import responses as types
from openai.types.conversations import Conversation, ConversationDeletedResource
from openai.types.responses import Response
from openai.types.responses.response_stream_event import ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

client = openai.OpenAI(base_url=sys.argv[1], api_key="any", max_retries=0)
told = {"major": int(openai.__version__.split(".")[0])}
EVENT = TypeAdapter(ResponseStreamEvent)
ITEM = TypeAdapter(types.ResponseItem)


def strictly(raw, model):
    """Reads an answer as clients do that take nothing for granted: no field is missing, and each has its type."""
    body = raw.http_response.content
    return model.model_validate_json(body, strict=True)


def whole(**body):
    return strictly(client.responses.with_raw_response.create(model="m", **body), Response)


answer = whole(input="hello", instructions="Be kind.", metadata={"topic": "greetings"})
told["whole"] = answer.output_text
told["usage"] = answer.usage.total_tokens
told["again"] = (
    strictly(client.responses.with_raw_response.retrieve(answer.id), Response).model_dump() == answer.model_dump()
)

with client.responses.stream(model="m", input="hello") as stream:
    events = list(stream)
    final = stream.get_final_response()
told["streamed"] = final.output_text
told["numbers"] = [event.sequence_number for event in events] == list(range(len(events)))


def read_strictly(**body):
    """Streams, and reads each event as strictly; tells the kinds of events and the kinds of items."""
    kinds, items = [], []
    for event in client.responses.create(model="m", stream=True, **body):
        EVENT.validate_json(json.dumps(event.to_dict(mode="json", exclude_unset=True)), strict=True)
        kinds.append(event.type)
    for item in event.response.output:
        ITEM.validate_json(json.dumps(item.to_dict(mode="json", exclude_unset=True)), strict=True)
        items.append(item.type)
    return [sorted(set(kinds)), items]


told["kinds"] = read_strictly(input="hello")[0]


class Weather(BaseModel):
    city: str
    degrees: int


told["parsed"] = client.responses.parse(model="m", input="json", text_format=Weather).output_parsed.model_dump()
with client.responses.stream(model="m", input="json", text_format=Weather) as stream:
    stream.until_done()
    told["streamed_parsed"] = stream.get_final_response().output_parsed.model_dump()


class GetWeather(BaseModel):
    city: str


typed = openai.pydantic_function_tool(GetWeather, name="weather")
tools = [{"type": "function", **typed["function"]}]
called = client.responses.parse(model="m", input="weather?", tools=[typed])
calls = [item for item in called.output if item.type == "function_call"]
told["calls"] = [call.parsed_arguments.city for call in calls]
told["call_kinds"] = read_strictly(input="weather?", tools=tools)
thinking = {"input": "think", "store": False, "include": ["reasoning.encrypted_content"]}
told["thought_kinds"] = read_strictly(**thinking)
thought = whole(**thinking)
told["sealed"] = bool(thought.output[0].encrypted_content)
told["unsealed"] = whole(
    input=[{"role": "user", "content": "think"}, *[item.to_dict() for item in thought.output], {"role": "user", "content": "on"}],
    store=False,
).output_text
with client.responses.stream(model="m", input="weather?", tools=[typed]) as stream:
    kinds = [event.type for event in stream]
    told["streamed_calls"] = [
        json.loads(item.arguments)["city"] for item in stream.get_final_response().output if item.type == "function_call"
    ]
told["deltas"] = kinds.count("response.function_call_arguments.delta") >= len(calls)
outputs = [
    {"type": "function_call_output", "call_id": call.call_id, "output": f"sunny in {json.loads(call.arguments)['city']}"}
    for call in calls
]
answered = whole(input=outputs, previous_response_id=called.id, tools=tools)
told["answered"] = answered.output_text
# The same without anything kept: the whole history comes from the client.
history = [{"role": "user", "content": "weather?"}, *[item.to_dict() for item in called.output], *outputs]
for item in history:
    item.pop("parsed_arguments", None)
told["carried"] = whole(input=history, tools=tools, store=False).output_text

first = whole(input="I drink tea.")
told["remembered"] = whole(input="What do I drink?", previous_response_id=first.id).output_text
items = client.responses.input_items.list(first.id)
told["input"] = [item.content[0].text for item in items]

begun = client.responses.create(model="m", input="later", background=True)
told["begun"] = begun.status
while begun.status in {"queued", "in_progress"}:
    time.sleep(0.05)
    begun = client.responses.retrieve(begun.id)
told["polled"] = begun.output_text

every = list(client.responses.retrieve(begun.id, stream=True))
rest = list(client.responses.retrieve(begun.id, stream=True, starting_after=3))
told["resumed"] = [event.to_dict() for event in rest] == [event.to_dict() for event in every[4:]]
with client.responses.stream(response_id=begun.id) as stream:
    stream.until_done()
    told["replayed"] = stream.get_final_response().output_text
with client.responses.stream(response_id=begun.id, starting_after=3) as stream:
    told["suffix"] = [event.sequence_number for event in stream] == [event.sequence_number for event in every[4:]]

told["cancelled"] = client.responses.cancel(begun.id).status
client.responses.delete(begun.id)
told["counted"] = client.responses.input_tokens.count(model="m", input="hello").input_tokens > 0

raw = client.conversations.with_raw_response
conversation = strictly(raw.create(items=[{"role": "user", "content": "my name is Ada"}], metadata={"n": "1"}), Conversation)
told["conversation"] = [conversation.object, conversation.metadata]
whole(input="hello", conversation=conversation.id)
strictly(raw.update(conversation.id, metadata={"n": "2"}), Conversation)
told["updated"] = strictly(raw.retrieve(conversation.id), Conversation).metadata
added = client.conversations.items.create(
    conversation.id,
    items=[
        {"role": "system", "content": "Be brief."},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
        {"role": "user", "content": [{"type": "input_image", "image_url": "https://example.org/a.png", "detail": "auto"}]},
    ],
)
told["added"] = [item.type for item in added.data]
listed = list(client.conversations.items.list(conversation.id, order="asc", limit=2))
told["items"] = [[item.type, getattr(item, "role", None)] for item in listed]
page = client.conversations.items.with_raw_response.list(conversation.id, order="asc")
for item in json.loads(page.http_response.content)["data"]:
    ITEM.validate_json(json.dumps(item), strict=True)
one = client.conversations.items.retrieve(listed[0].id, conversation_id=conversation.id)
told["one"] = one.content[0].text
told["removed"] = client.conversations.items.delete(listed[0].id, conversation_id=conversation.id).object
told["left"] = len(list(client.conversations.items.list(conversation.id)))
told["deleted"] = strictly(raw.delete(conversation.id), ConversationDeletedResource).deleted
told["errors"] = {}
for name, ask in {
    "response": lambda: client.responses.retrieve("resp_none"),
    "previous": lambda: client.responses.create(model="m", input="x", previous_response_id="resp_none"),
    "conversation": lambda: client.conversations.retrieve(conversation.id),
    "429": lambda: client.responses.create(model="m", input="429"),
}.items():
    try:
        ask()
    except openai.APIStatusError as error:
        told["errors"][name] = [type(error).__name__, error.status_code, error.param, error.code]

print(json.dumps(told))
