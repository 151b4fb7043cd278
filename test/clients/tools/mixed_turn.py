"""A turn in which the model calls a tool of the server and one of this client, streamed with the SDK's own handler."""
import json
import sys

from openai import AssistantEventHandler, OpenAI

client = OpenAI(base_url=sys.argv[1], api_key="any")


class Handler(AssistantEventHandler):
    def __init__(self):
        super().__init__()
        self.events = []
        self.run = None

    def on_event(self, event):
        self.events.append(event.event)
        if event.event.startswith("thread.run.") and not event.event.startswith("thread.run.step"):
            self.run = event.data


assistant = client.beta.assistants.create(
    model="m",
    tools=[{"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
           for name in ("clock", "weather")],
    metadata={"auto_tools": "true"},
)
thread = client.beta.threads.create(messages=[{"role": "user", "content": "time and weather?"}])
first = Handler()
with client.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, parallel_tool_calls=True, event_handler=first) as stream:
    stream.until_done()
waiting = first.run.required_action.submit_tool_outputs.tool_calls
second = Handler()
with client.beta.threads.runs.submit_tool_outputs_stream(
        thread_id=thread.id, run_id=first.run.id, event_handler=second,
        tool_outputs=[{"tool_call_id": call.id, "output": "sunny"} for call in waiting]) as stream:
    stream.until_done()
steps = client.beta.threads.runs.steps.list(thread_id=thread.id, run_id=first.run.id, order="asc").data
print(json.dumps({
    "waiting": [call.function.name for call in waiting],
    "first": first.events[-2:],
    "status": second.run.status,
    "calls": [[call.function.name, call.function.output is not None] for call in steps[0].step_details.tool_calls],
    "said": client.beta.threads.messages.list(thread.id).data[0].content[0].text.value,
}))
