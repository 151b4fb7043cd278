"""Writes a GGUF file's model as safetensors, with its tokenizer: FOLDER FILE TARGET."""
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, file, target = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
# The weights are plain floats by now, but what the file was is remembered, and would not be written.
model.hf_quantizer = None
model.is_quantized = False
if hasattr(model.config, "quantization_config"):
    del model.config.quantization_config
tokenizer.save_pretrained(target)
model.save_pretrained(target)
