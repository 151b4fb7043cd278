"""What an application of OpenAI's Agents SDK does, told as one JSON object. Arguments: the base URL, and that of an MCP server."""
import asyncio
import json
import sys

from agents import (
    Agent,
    HostedMCPTool,
    OpenAIConversationsSession,
    Runner,
    WebSearchTool,
    function_tool,
    set_default_openai_client,
    set_tracing_disabled,
)
from openai import AsyncOpenAI

set_tracing_disabled(True)
client = AsyncOpenAI(base_url=sys.argv[1], api_key="any", max_retries=0)
set_default_openai_client(client)
told = {}


@function_tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


agent = Agent(name="Forecaster", model="m", tools=[weather])


async def main():
    told["answer"] = (await Runner.run(agent, "weather?")).final_output

    streamed = Runner.run_streamed(agent, "weather?")
    kinds = {event.name async for event in streamed.stream_events() if event.type == "run_item_stream_event"}
    told["streamed"] = streamed.final_output
    told["kinds"] = sorted(kinds)

    first = await Runner.run(agent, "I drink tea.")
    second = await Runner.run(agent, "What do I drink?", previous_response_id=first.last_response_id)
    told["remembered"] = second.final_output
    third = await Runner.run(agent, "weather?", previous_response_id=second.last_response_id)
    told["continued"] = third.final_output

    session = OpenAIConversationsSession(openai_client=client)
    for number in range(20):
        await Runner.run(agent, f"say {number}", session=session)
    await Runner.run(agent, "weather?", session=session)
    # As messages, what was called in one completion is one.
    told["heard"] = (await Runner.run(agent, "What do I drink?", session=session)).final_output
    items = await session.get_items()
    told["session"] = len(items)
    told["unlike"] = len({item["id"] for item in items})
    popped = await session.pop_item()
    told["popped"] = [popped["type"], popped["role"]]
    told["last"] = len(await session.get_items(limit=5))
    await session.clear_session()

    specialist = Agent(name="Specialist", model="m", handoff_description="Knows more.")
    triage = Agent(name="Triage", model="m", handoffs=[specialist])
    handed = await Runner.run(triage, "hand over")
    told["handoff"] = [handed.final_output, handed.last_agent.name]

    remover = Agent(
        name="Remover",
        model="m",
        tools=[
            HostedMCPTool(
                tool_config={
                    "type": "mcp",
                    "server_label": "library",
                    "server_url": sys.argv[2],
                    "require_approval": "always",
                },
                on_approval_request=lambda request: {"approve": request.data.name == "remove"},
            )
        ],
    )
    told["approved"] = (await Runner.run(remover, "remove the tea")).final_output
    again = Runner.run_streamed(remover, "remove the tea")
    told["approving"] = [
        event.name async for event in again.stream_events() if event.type == "run_item_stream_event"
    ]

    searcher = Agent(name="Searcher", model="m", tools=[WebSearchTool()])
    told["searched"] = (await Runner.run(searcher, "hello")).final_output


asyncio.run(main())
print(json.dumps(told))
