"""An agent of Pydantic AI with a tool and a typed answer, whole and streamed, as one JSON object. Argument: the base URL."""
import asyncio
import json
import sys

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

model = OpenAIChatModel("any-model", provider=OpenAIProvider(base_url=sys.argv[1], api_key="any"))
told = {}
asked = []

agent = Agent(model, instructions="Be brief.")


@agent.tool_plain
def weather(city: str) -> str:
    """The weather in a city."""
    asked.append(city)
    return f"sunny in {city}"


class Weather(BaseModel):
    city: str
    degrees: int


async def main():
    first = await agent.run("weather?")
    told["answer"] = first.output
    # Tools that are called together run together, in any order.
    told["asked"] = sorted(asked)
    told["tokens"] = first.usage.input_tokens + first.usage.output_tokens
    second = await agent.run("and then?", message_history=first.all_messages())
    told["second"] = second.output
    async with agent.run_stream("weather?") as streamed:
        told["streamed"] = "".join([text async for text in streamed.stream_text(delta=True)])
    typed = await Agent(model, output_type=Weather).run("typed")
    told["typed"] = typed.output.model_dump()


asyncio.run(main())
print(json.dumps(told))
