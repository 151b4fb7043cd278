/** Gateways between Longrun and llama.cpp: LiteLLM's proxy and Portkey's. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasBusySlot, llamacpp, startLlamacpp } from './llamacpp.ts';
import { ModelServer } from './model-server.ts';
import type { Target } from './target.ts';

const LITELLM = 'litellm[proxy]==1.108.7';
const PORTKEY = { name: '@portkey-ai/gateway', version: '1.15.2' };
const MODEL = 'smollm2';

export const litellm: Target = {
  ...llamacpp,
  name: 'litellm',
  title: 'LiteLLM → llama.cpp',
  start: async (packages) => {
    const bin = await packages.python('litellm', [LITELLM]);
    const behind = await startLlamacpp(packages);
    try {
      const file = join(packages.cache, 'litellm.json');
      const litellm_params = { model: `openai/${MODEL}`, api_base: `${behind.url}/v1`, api_key: 'none' };
      // JSON is YAML as well.
      await writeFile(file, JSON.stringify({ model_list: [{ model_name: MODEL, litellm_params }] }));
      // It refuses to start without one.
      const apiKey = `sk-${randomBytes(16).toString('hex')}`;
      const front = await ModelServer.start(
        (port) => ({
          command: `${bin}/litellm`,
          args: ['--config', file, '--host', '127.0.0.1', '--port', String(port)],
          env: {
            LITELLM_MASTER_KEY: apiKey,
            LITELLM_LOCAL_MODEL_COST_MAP: 'True',
            LITELLM_TELEMETRY: 'False',
          },
        }),
        '/health/liveliness',
      );
      return {
        version: LITELLM.replace('==', ' '),
        front,
        behind,
        model: MODEL,
        apiKey,
        settings: {},
        isBusy: () => hasBusySlot(behind),
        quietFault: () => null,
      };
    } catch (error) {
      await behind.kill();
      throw error;
    }
  },
};

export const portkey: Target = {
  ...llamacpp,
  name: 'portkey',
  title: 'Portkey → llama.cpp',
  start: async (packages) => {
    const folder = await packages.npm(PORTKEY.name, PORTKEY.version);
    const behind = await startLlamacpp(packages);
    try {
      const front = await ModelServer.start(
        (port) => ({
          command: process.execPath,
          args: [join(folder, 'build/start-server.js'), `--port=${port}`, '--headless'],
        }),
        '/',
      );
      return {
        version: `${PORTKEY.name} ${PORTKEY.version}`,
        front,
        behind,
        model: MODEL,
        settings: {
          headers: { 'x-portkey-provider': 'openai', 'x-portkey-custom-host': `${behind.url}/v1` },
          // Its streams end in "TypeError: immutable" before they begin; whole answers come through.
          omit: ['stream'],
        },
        isBusy: () => hasBusySlot(behind),
        quietFault: () => null,
      };
    } catch (error) {
      await behind.kill();
      throw error;
    }
  },
};
