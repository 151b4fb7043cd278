"""Files, stores and hosted tools as OpenAI's cookbook uses them: upload and poll, attach, a handler of events, citations.

    helpers.py BASE_URL TOOL…      the tools to try: file_search, code_interpreter
"""
import json
import sys

from openai import AssistantEventHandler, OpenAI

client = OpenAI(base_url=sys.argv[1], api_key="any", max_retries=0)


class Handler(AssistantEventHandler):
    def __init__(self):
        super().__init__()
        self.created = []
        self.done = {}
        self.code = ""
        self.logs = ""
        self.text = ""
        self.cited = None
        self.citations = []

    def on_tool_call_created(self, tool_call):
        self.created.append(tool_call.type)

    def on_tool_call_delta(self, delta, snapshot):
        if delta.type == "code_interpreter":
            if delta.code_interpreter.input:
                self.code += delta.code_interpreter.input
            for output in delta.code_interpreter.outputs or []:
                if output.type == "logs":
                    self.logs += output.logs

    def on_tool_call_done(self, tool_call):
        # The SDK says it at the end of every later step as well, and of the run.
        self.done[tool_call.id] = tool_call.type

    def on_text_delta(self, delta, snapshot):
        self.text += delta.value or ""

    def on_message_done(self, message):
        message_content = message.content[0].text
        for index, annotation in enumerate(message_content.annotations):
            message_content.value = message_content.value.replace(annotation.text, f"[{index}]")
            if file_citation := getattr(annotation, "file_citation", None):
                cited_file = client.files.retrieve(file_citation.file_id)
                self.citations.append(f"[{index}] {cited_file.filename}")
        self.cited = message_content.value


def stream(thread, assistant):
    handler = Handler()
    with client.beta.threads.runs.stream(
            thread_id=thread.id, assistant_id=assistant.id, event_handler=handler) as events:
        events.until_done()
    return {"created": handler.created, "done": [*handler.done.values()], "code": handler.code, "logs": handler.logs,
            "text": handler.text, "cited": handler.cited, "citations": handler.citations}


def thread_with(name, text, tool, question):
    file = client.files.create(file=(name, text.encode()), purpose="assistants")
    return client.beta.threads.create(messages=[
        {"role": "user", "content": question, "attachments": [{"file_id": file.id, "tools": [{"type": tool}]}]}])


def search():
    store = client.vector_stores.create(name="library")
    one = client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("foods.md", b"People in Naples like pizza with basil."))
    both = client.vector_stores.file_batches.upload_and_poll(
        vector_store_id=store.id,
        files=[("ships.md", b"The Vasa sank in 1628."), ("birds.txt", b"Swifts sleep while they fly.")])
    assistant = client.beta.assistants.create(
        model="m", tools=[{"type": "file_search"}],
        tool_resources={"file_search": {"vector_store_ids": [store.id]}})
    thread = thread_with("bees.md", "Bees dance.", "file_search", "What do they like in Naples?")
    return {
        "statuses": [one.status, both.status],
        "read": client.vector_stores.retrieve(store.id).file_counts.completed,
        "stores": len(thread.tool_resources.file_search.vector_store_ids),
        "found": client.vector_stores.search(store.id, query="Naples").data[0].filename,
        "heard": stream(thread, assistant),
    }


def code():
    assistant = client.beta.assistants.create(model="m", tools=[{"type": "code_interpreter"}])
    thread = thread_with("ships.md", "The Vasa sank in 1628.", "code_interpreter", "What is six times seven?")
    return {"files": len(thread.tool_resources.code_interpreter.file_ids), "heard": stream(thread, assistant)}


TRIES = {"file_search": search, "code_interpreter": code}
print(json.dumps({tool: TRIES[tool]() for tool in sys.argv[2:]}))
