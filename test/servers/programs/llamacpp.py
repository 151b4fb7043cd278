"""llama.cpp's own HTTP server, as the package xllamacpp holds it: MODEL TEMPLATE PORT CONTEXT SLOTS."""
import signal
import sys

import xllamacpp

model, template, port, context, slots = sys.argv[1:]
params = xllamacpp.CommonParams()
params.model.path = model
params.model_alias = {"smollm2"} if not isinstance(params.model_alias, str) else "smollm2"
params.hostnames = ["127.0.0.1"]
params.port = int(port)
params.n_ctx = int(context)
params.n_parallel = int(slots)
# More would wait for each other, on a machine with other work.
params.cpuparams.n_threads = 1
params.cpuparams_batch.n_threads = 1
params.endpoint_slots = True
params.endpoint_metrics = True
params.use_jinja = True
with open(template, encoding="utf-8") as file:
    params.chat_template = file.read()
server = xllamacpp.Server(params)
print("listening at", server.listening_address, flush=True)
signal.pause()
