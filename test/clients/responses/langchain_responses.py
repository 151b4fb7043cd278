"""What an application of LangChain does with `use_responses_api`, told as one JSON object. Argument: the base URL."""
import json
import sys

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

told = {}


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


class Forecast(BaseModel):
    city: str
    degrees: int


def chat(**settings):
    return ChatOpenAI(
        model="m", base_url=sys.argv[1], api_key="any", max_retries=0, use_responses_api=True, **settings
    )


def with_outputs(message):
    """What the called tools answer."""
    return [ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]) for call in message.tool_calls]


llm = chat()
whole = llm.invoke("hello")
told["whole"] = whole.text
told["usage"] = whole.usage_metadata["total_tokens"]
told["id"] = whole.response_metadata["id"].split("_")[0]

streamed = None
for chunk in llm.stream("hello"):
    streamed = chunk if streamed is None else streamed + chunk
told["streamed"] = [streamed.text, streamed.usage_metadata["total_tokens"]]

# The whole history goes to and fro.
able = llm.bind_tools([weather])
asked = able.invoke("weather?")
told["calls"] = [[call["name"], call["args"]["city"]] for call in asked.tool_calls]
told["answered"] = able.invoke([HumanMessage("weather?"), asked, *with_outputs(asked)]).text

# Only what is new goes to the server, in a stream.
called = None
for chunk in able.stream("weather?"):
    called = chunk if called is None else called + chunk
previous = called.response_metadata["id"]
told["continued"] = able.invoke(with_outputs(called), previous_response_id=previous).text

first = llm.invoke("I drink tea.")
asks = "What do I drink?"
told["remembered"] = llm.invoke(asks, previous_response_id=first.response_metadata["id"]).text
# The library finds the previous response in its own history.
told["found"] = chat(use_previous_response_id=True).invoke([HumanMessage("I drink tea."), first, HumanMessage(asks)]).text

forecast = llm.with_structured_output(Forecast).invoke("json")
told["parsed"] = forecast.model_dump()

thinking = chat(reasoning={"effort": "low"}, output_version="responses/v1").invoke("think")
told["kinds"] = [block["type"] for block in thinking.content]

try:
    llm.invoke("429")
except Exception as error:
    told["error"] = type(error).__name__

print(json.dumps(told))
