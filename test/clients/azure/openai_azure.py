"""The scenarios of test/api/sdk-matrix.test.ts with Python's AzureOpenAI, told as one JSON object.
Arguments: the server's address, and its key."""
import json
import sys

import openai

client = openai.AzureOpenAI(
    azure_endpoint=sys.argv[1], api_key=sys.argv[2], api_version="2024-05-01-preview", max_retries=0
)
threads, runs = client.beta.threads, client.beta.threads.runs
told = {"major": int(openai.__version__.split(".")[0])}


def thread_with(text):
    return threads.create(messages=[{"role": "user", "content": text}]).id


def texts(thread_id):
    return [message.content[0].text.value for message in threads.messages.list(thread_id, order="asc")]


def outputs(run, *said):
    calls = run.required_action.submit_tool_outputs.tool_calls
    assert len(calls) == len(said)
    return [{"tool_call_id": call.id, "output": output} for call, output in zip(calls, said)]


class Handler(openai.AssistantEventHandler):
    """Names the events, neighbours of the same name once, and keeps the last state of the run."""

    def __init__(self):
        super().__init__()
        self.names = []
        self.run = None

    def on_event(self, event):
        if self.names[-1:] != [event.event]:
            self.names.append(event.event)
        if event.data.object == "thread.run":
            self.run = event.data


def played(streaming, handler=None):
    handler = handler or Handler()
    with streaming(event_handler=handler) as stream:
        stream.until_done()
    run = handler.run
    assert run == runs.retrieve(run.id, thread_id=run.thread_id), "the stream and REST tell the same"
    return handler


weather = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
assistant = client.beta.assistants.create(model="gpt-4o", tools=[weather])
by = {"assistant_id": assistant.id}

thread = thread_with("hello")
told["polled"] = [runs.create_and_poll(thread_id=thread, **by).status, texts(thread)]
thread = thread_with("hello")
told["streamed"] = played(lambda **how: runs.stream(thread_id=thread, **by, **how)).names

thread = thread_with("weather in Taipei")
waiting = runs.create_and_poll(thread_id=thread, **by)
call = waiting.required_action.submit_tool_outputs.tool_calls[0]
run = runs.submit_tool_outputs_and_poll(
    thread_id=thread, run_id=waiting.id, tool_outputs=outputs(waiting, "sunny")
)
told["called"] = [waiting.status, call.function.arguments, run.status, texts(thread)]

for name, question, said in [
    ("calls streamed", "weather in Taipei", ["sunny"]),
    ("two calls streamed", "weather in Taipei,Paris", ["sunny", "wet"]),
]:
    thread = thread_with(question)
    asking = played(lambda **how: runs.stream(thread_id=thread, **by, **how))
    answers = outputs(asking.run, *said)[::-1]
    telling = played(
        lambda **how: runs.submit_tool_outputs_stream(
            thread_id=thread, run_id=asking.run.id, tool_outputs=answers, **how
        )
    )
    steps = runs.steps.list(thread_id=thread, run_id=asking.run.id).data
    kept = [call.function.output for call in steps[-1].step_details.tool_calls]
    told[name] = [asking.names, telling.names, kept, texts(thread)[-1]]

first = {"messages": [{"role": "user", "content": "hello"}]}
run = threads.create_and_run_poll(**by, thread=first)
told["with thread, polled"] = [run.status, texts(run.thread_id)]
told["with thread, streamed"] = played(
    lambda **how: threads.create_and_run_stream(**by, thread=first, **how)
).names


class Impatient(Handler):
    def on_event(self, event):
        super().on_event(event)
        if event.event == "thread.message.delta":
            runs.cancel(self.run.id, thread_id=self.run.thread_id)


thread = thread_with("a story")
told["cancelled"] = [played(lambda **how: runs.stream(thread_id=thread, **by, **how), Impatient()).names, texts(thread)]

told["models"] = [model.id for model in client.models.list() if model.owned_by == "vllm"]
question = [{"role": "user", "content": "hello"}]
told["chat"] = client.chat.completions.create(model="gpt-4o", messages=question).choices[0].message.content
deployed = openai.AzureOpenAI(
    azure_endpoint=sys.argv[1],
    api_key=sys.argv[2],
    api_version="2024-10-21",
    azure_deployment="our/deployment",
    max_retries=0,
)
chunks = list(deployed.chat.completions.create(model="another", messages=question, stream=True))
told["chat of a deployment"] = [
    "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices),
    chunks[0].model,
]
told["assistants beside a deployment"] = deployed.beta.assistants.retrieve(assistant.id).id == assistant.id

told["errors"] = {}
for name, asking in {
    "assistant": lambda: client.beta.assistants.retrieve("asst_none"),
    "file": lambda: client.files.retrieve("file-none"),
    "key": lambda: client.with_options(api_key="wrong").models.list(),
}.items():
    try:
        asking()
    except openai.APIStatusError as error:
        told["errors"][name] = [type(error).__name__, error.status_code, error.code]

print(json.dumps(told))
