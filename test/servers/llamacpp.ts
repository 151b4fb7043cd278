/** llama.cpp's own server, prebuilt in a package of PyPI. */
import { z } from 'zod';
import { ModelServer } from './model-server.ts';
import { programPath, type Packages } from './packages.ts';
import type { Target } from './target.ts';

const PACKAGE = 'xllamacpp==2026.10.11549';
const SLOTS = 2;
const SLOT_TOKENS = 1_024;

const slotsSchema = z.array(z.object({ is_processing: z.boolean() }));

export async function startLlamacpp(packages: Packages): Promise<ModelServer> {
  const bin = await packages.python('llamacpp', [PACKAGE]);
  const model = await packages.model();
  return ModelServer.start(
    (port) => ({
      command: `${bin}/python`,
      args: [
        programPath('llamacpp.py'),
        model,
        programPath('hermes.jinja'),
        ...[port, SLOTS * SLOT_TOKENS, SLOTS].map(String),
      ],
    }),
    '/v1/models',
  );
}

/** Whether a slot is at work. */
export async function hasBusySlot(server: ModelServer): Promise<boolean> {
  const slots = slotsSchema.parse(await (await fetch(`${server.url}/slots`)).json());
  return slots.some(({ is_processing }) => is_processing);
}

export const llamacpp: Target = {
  name: 'llamacpp',
  title: 'llama.cpp',
  contextTokens: SLOT_TOKENS,
  callsBy: 'grammar',
  noTools: null,
  noSchema: null,
  start: async (packages) => {
    const server = await startLlamacpp(packages);
    return {
      version: PACKAGE.replace('==', ' '),
      front: server,
      behind: server,
      model: 'smollm2',
      settings: {},
      isBusy: () => hasBusySlot(server),
      quietFault: () => null,
    };
  },
};
