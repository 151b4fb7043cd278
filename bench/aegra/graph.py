"""A graph of one model call, for the bench: what aegra costs beside asking the model."""

import os

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph

model = ChatOpenAI(
    model=os.environ["BENCH_MODEL"],
    base_url=os.environ["BENCH_UPSTREAM"],
    api_key="bench",
    streaming=True,
)


async def answer(state: MessagesState) -> dict:
    return {"messages": [await model.ainvoke(state["messages"])]}


graph = (
    StateGraph(MessagesState)
    .add_node("answer", answer)
    .add_edge(START, "answer")
    .add_edge("answer", END)
    .compile()
)
