"""What an application of the classic Foundry agents client does, told as one JSON object.
Arguments: the endpoint, the token, the certificate to trust; and `threads`, to list only them."""
import json
import sys
import time

from azure.ai.agents import AgentsClient, models
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError


class Key:
    """The server's key, as Azure's libraries want one."""

    def get_token(self, *scopes, **options):
        return AccessToken(sys.argv[2], int(time.time()) + 3600)


client = AgentsClient(endpoint=sys.argv[1], credential=Key(), connection_verify=sys.argv[3], retry_total=0)
told = {}

if sys.argv[4:] == ["threads"]:
    made = [client.threads.create(metadata={"number": str(number)}).id for number in range(3)]
    print(json.dumps([thread.metadata["number"] for thread in client.threads.list(limit=2) if thread.id in made]))
    sys.exit()


def thread_with(text):
    thread = client.threads.create()
    client.messages.create(thread_id=thread.id, role="user", content=text)
    return thread.id


def texts(thread_id):
    listed = client.messages.list(thread_id=thread_id, order=models.ListSortOrder.ASCENDING)
    return [message.text_messages[-1].text.value for message in listed]


def weather(city: str) -> str:
    """The weather in a city.

    :param city: Its name.
    """
    return json.dumps({"weather": f"sunny in {city}"})


functions = models.FunctionTool({weather})
toolset = models.ToolSet()
toolset.add(functions)

agent = client.create_agent(model="gpt-4o", name="plain", instructions="Be brief.")
told["agent"] = [agent.name, client.get_agent(agent.id).instructions, client.update_agent(agent.id, name="new").name]

thread = thread_with("hello")
run = client.runs.create_and_process(thread_id=thread, agent_id=agent.id, polling_interval=0)
told["processed"] = [run.status, texts(thread)]
steps = list(client.run_steps.list(thread_id=thread, run_id=run.id))
told["steps"] = [step.type for step in steps]

client.enable_auto_function_calls(toolset)
helper = client.create_agent(model="gpt-4o", name="helper", toolset=toolset)
thread = thread_with("weather in Taipei")
run = client.runs.create_and_process(
    thread_id=thread, agent_id=helper.id, toolset=toolset, polling_interval=0
)
told["processed with a toolset"] = [run.status, texts(thread)]

by_hand = client.create_agent(model="gpt-4o", name="by hand", tools=functions.definitions)
thread = thread_with("weather in Paris")
run = client.runs.create(thread_id=thread, agent_id=by_hand.id, tool_resources=models.ToolResources())
while run.status in ("queued", "in_progress"):
    run = client.runs.get(thread_id=thread, run_id=run.id)
calls = run.required_action.submit_tool_outputs.tool_calls
answers = [models.ToolOutput(tool_call_id=call.id, output="wet") for call in calls]
run = client.runs.submit_tool_outputs(thread_id=thread, run_id=run.id, tool_outputs=answers)
while run.status in ("queued", "in_progress"):
    run = client.runs.get(thread_id=thread, run_id=run.id)
told["called by hand"] = [calls[0].function.arguments, run.status, texts(thread)]


class Handler(models.AgentEventHandler):
    def __init__(self):
        super().__init__()
        self.said = ""
        self.ended = []

    def on_message_delta(self, delta):
        self.said += delta.text

    def on_thread_run(self, run):
        self.status = run.status

    def on_error(self, data):
        self.ended.append(data)

    def on_done(self):
        self.ended.append("done")


def handled(text, agent_id):
    handler = Handler()
    with client.runs.stream(thread_id=thread_with(text), agent_id=agent_id, event_handler=handler) as stream:
        stream.until_done()
    return [handler.said, handler.status, handler.ended]


told["handled"] = handled("hello", agent.id)
told["handled with functions"] = handled("weather in Tainan", helper.id)
told["handled after a silence"] = handled("think first", agent.id)

with client.runs.stream(thread_id=thread_with("hello"), agent_id=agent.id) as stream:
    names = [str(getattr(event, "value", event)) for event, data, _ in stream]
told["iterated"] = [name for n, name in enumerate(names) if name != names[n - 1]]

options = models.AgentThreadCreationOptions(messages=[models.ThreadMessageOptions(role="user", content="hello")])
run = client.create_thread_and_process_run(agent_id=agent.id, thread=options, polling_interval=0)
told["with thread"] = [run.status, texts(run.thread_id)]

thread = thread_with("never ends")
run = client.runs.create(thread_id=thread, agent_id=agent.id)
told["cancelled"] = client.runs.cancel(thread_id=thread, run_id=run.id).status

mine = [agent.id, helper.id, by_hand.id]
told["agents"] = [listed.id for listed in client.list_agents(limit=2) if listed.id in mine][::-1] == mine
hosted = models.CodeInterpreterTool().definitions + models.FileSearchTool().definitions
equipped = client.create_agent(model="m", name="equipped", tools=hosted)
told["with hosted tools"] = [tool.type for tool in equipped.tools]
client.delete_agent(equipped.id)
numbers = client.threads.create().id
for number in range(5):
    client.messages.create(thread_id=numbers, role="user", content=str(number))
told["pages"] = [message.text_messages[-1].text.value for message in client.messages.list(numbers, limit=2)]
told["runs"] = [listed.id for listed in client.runs.list(thread_id=thread)] == [run.id]


def refused(asking):
    try:
        asking()
    except HttpResponseError as error:
        return [type(error).__name__, error.status_code, error.error.code, error.error.target, error.error.message]


told["refused"] = {
    "nobody": refused(lambda: client.get_agent("asst_none")),
    "bing": refused(
        lambda: client.create_agent(
            model="m", name="bing", tools=models.BingGroundingTool(connection_id="c").definitions
        )
    ),
    "file": refused(lambda: client.files.get("file-none")),
}
assert issubclass(ResourceNotFoundError, HttpResponseError)

for agent_id in mine:
    client.delete_agent(agent_id)
client.threads.delete(thread)
told["deleted"] = refused(lambda: client.threads.get(thread))[1]

print(json.dumps(told))
