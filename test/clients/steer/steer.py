"""Steers a run in the middle of its stream, once with a plain run and once with a stream, as a program with two windows does.

    steer.py BASE_URL ASSISTANT THREAD
"""
import json
import sys
import threading

from openai import AssistantEventHandler, OpenAI

client = OpenAI(base_url=sys.argv[1], api_key="any", max_retries=0)
assistant, thread = sys.argv[2], sys.argv[3]


def said(content):
    return {
        "assistant_id": assistant,
        "additional_messages": [{"role": "user", "content": content}],
        "metadata": {"multitask": "steer"},
    }


class Handler(AssistantEventHandler):
    def __init__(self):
        super().__init__()
        self.text = ""
        self.done = []

    def on_text_delta(self, delta, snapshot):
        self.text += delta.value or ""

    def on_message_done(self, message):
        self.done.append([message.role, message.content[0].text.value])


class First(Handler):
    def on_text_delta(self, delta, snapshot):
        super().on_text_delta(delta, snapshot)
        if self.text != "Half":
            return
        self.steered = client.beta.threads.runs.create(thread, **said("Shorter!")).id
        self.second = threading.Thread(target=steer_by_stream)
        self.second.start()


second = Handler()


def steer_by_stream():
    with client.beta.threads.runs.stream(thread_id=thread, event_handler=second, **said("And louder!")) as stream:
        stream.until_done()


first = First()
with client.beta.threads.runs.stream(thread_id=thread, assistant_id=assistant, event_handler=first) as stream:
    stream.until_done()
    run = stream.current_run
first.second.join()
print(
    json.dumps(
        {
            "same": first.steered == run.id,
            "first": {"text": first.text, "done": first.done},
            "second": {"text": second.text, "done": second.done},
        }
    )
)
