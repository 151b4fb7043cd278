/** The examples for Foundry's agents clients, which reach the service through TLS and have to be told whom to trust. */
import { expect } from 'vitest';
import { TlsProxy } from '../clients/azure/tls.ts';
import { missingProgram, pythonWithAzureAgents, runProgram } from '../clients/programs.ts';
import type { Block } from './blocks.ts';
import type { Check } from './checks.ts';
import type { Stage } from './stage.ts';

/** Where the examples reach the proxy. */
const PRINTED_ORIGIN = 'https://longrun.example.com';

/** A Caddyfile that leads to the service; where Caddy is installed, Caddy reads it. */
export const isTakenByCaddy: Check = async ({ text }, stage) => {
  expect(text).toMatch(/^longrun\.example\.com \{\n[^]*reverse_proxy 127\.0\.0\.1:8080[^]*\n\}$/m);
  if ((await missingProgram('caddy')) !== null) return;
  const path = await stage.write('Caddyfile', `${text}\n`);
  const { code, stdout } = await runProgram('caddy', ['adapt', '--config', path]);
  expect(code).toBe(0);
  expect(stdout).toContain('"dial":"127.0.0.1:8080"');
};

export const runsInPython: Check = async (block, stage, context) => {
  const python = await pythonWithAzureAgents();
  if ('missing' in python) return context.skip(python.missing);
  await saysHello(block, stage, 'agents.py', python.path, 'REQUESTS_CA_BUNDLE');
};

export const runsInNode: Check = async (block, stage) => {
  await saysHello(block, stage, 'agents.mjs', process.execPath, 'NODE_EXTRA_CA_CERTS');
};

/** The program prints what the demo model says to it. `trusted` is the variable that names the certificate. */
async function saysHello(
  { text }: Block,
  stage: Stage,
  name: string,
  command: string,
  trusted: string,
): Promise<void> {
  const proxy = await TlsProxy.start((await stage.service()).url);
  try {
    const path = await stage.write(name, text.replace(PRINTED_ORIGIN, proxy.url));
    const env = { [trusted]: proxy.certificatePath };
    expect(await runProgram(command, [path], { cwd: stage.folder, env })).toEqual({
      code: 0,
      stderr: '',
      stdout: expect.stringContaining('You said: “Hello”') as unknown,
    });
  } finally {
    await proxy.stop();
  }
}
