"""Goes on in a conversation that another client began, told as one JSON object. Arguments: the base URL, the conversation."""
import json
import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key="any", max_retries=0)
conversation = sys.argv[2]


def roles():
    return [item.role for item in client.conversations.items.list(conversation, order="asc")]


told = {"before": roles()}
told["said"] = client.responses.create(model="m", input="two", conversation=conversation).output_text
told["after"] = roles()
print(json.dumps(told))
