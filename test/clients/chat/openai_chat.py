"""What a Python application does with the chat endpoint, told as one JSON object. Argument: the base URL."""
import asyncio
import json
import sys

import openai
from pydantic import BaseModel

client = openai.OpenAI(base_url=sys.argv[1], api_key="any", max_retries=2)
told = {"major": int(openai.__version__.split(".")[0])}


def user(text):
    return [{"role": "user", "content": text}]


answer = client.chat.completions.create(model="any-model", messages=user("你好"))
told["whole"] = answer.choices[0].message.content
told["usage"] = answer.usage.total_tokens

stream = client.chat.completions.create(
    model="any-model", messages=user("你好"), stream=True, stream_options={"include_usage": True}
)
chunks = list(stream)
told["chunks"] = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
told["stream_usage"] = chunks[-1].usage.total_tokens

with client.chat.completions.stream(model="any-model", messages=user("hello")) as events:
    kinds = [event.type for event in events]
    told["accumulated"] = events.get_final_completion().choices[0].message.content
told["events"] = sorted(set(kinds) & {"content.delta", "content.done"})

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
messages = user("weather?")
asked = client.chat.completions.create(model="any-model", messages=messages, tools=[WEATHER])
calls = asked.choices[0].message.tool_calls
told["calls"] = [json.loads(call.function.arguments)["city"] for call in calls]
messages.append(asked.choices[0].message)
for call in calls:
    city = json.loads(call.function.arguments)["city"]
    messages.append({"role": "tool", "tool_call_id": call.id, "content": f"sunny in {city}"})
final = client.chat.completions.create(model="any-model", messages=messages, tools=[WEATHER])
told["answered"] = final.choices[0].message.content

with client.chat.completions.stream(model="any-model", messages=user("weather?"), tools=[WEATHER]) as events:
    streamed = events.get_final_completion()
told["streamed_calls"] = [call.function.arguments for call in streamed.choices[0].message.tool_calls]


class Weather(BaseModel):
    city: str
    degrees: int


parsed = client.chat.completions.parse(model="any-model", messages=user("json"), response_format=Weather)
told["parsed"] = parsed.choices[0].message.parsed.model_dump()

told["errors"] = {}
for status in ["429", "400", "401", "500"]:
    for streams in [False, True]:
        try:
            client.chat.completions.create(model="any-model", messages=user(status), stream=streams)
        except openai.APIStatusError as error:
            told["errors"].setdefault(status, []).append([type(error).__name__, error.status_code, error.code])
try:
    for _ in client.chat.completions.create(model="any-model", messages=user("break"), stream=True):
        pass
except openai.APIError as error:
    told["errors"]["break"] = [type(error).__name__, error.code]

thread = {"thread_id": told["major"]}
client.chat.completions.create(model="any-model", messages=user("I drink tea."), extra_body=thread)
told["remembered"] = (
    client.chat.completions.create(model="any-model", messages=user("What do I drink?"), extra_body=thread)
    .choices[0]
    .message.content
)


async def three():
    patient = openai.AsyncOpenAI(base_url=sys.argv[1], api_key="any")
    answers = [patient.chat.completions.create(model="any-model", messages=user(str(n))) for n in range(3)]
    told["async"] = [answer.choices[0].message.content for answer in await asyncio.gather(*answers)]


asyncio.run(three())
print(json.dumps(told))
