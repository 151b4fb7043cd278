/** Codex, as npm has it: it corrects a file in a folder of its own, told by a model that scripts one command. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { calls, says, type Script, type UpstreamRequest } from '../../support/upstream.ts';
import { missingProgram, runProgram } from '../programs.ts';

const CODEX = '@openai/codex@0.171.0';
/** The tool by which it runs commands. */
const EXEC = 'exec_command';
const WRONG = 'Hello wrld\n';
const RIGHT = 'Hello world\n';

/** What the model does with a request of Codex; undefined where it is of somebody else. */
export function commands({ body, outputs }: UpstreamRequest): Script | undefined {
  if (!JSON.stringify(body.tools ?? []).includes(`"${EXEC}"`)) return undefined;
  if (outputs.length > 0) return says('It is corrected.');
  return calls([{ name: EXEC, arguments: { cmd: 'sed -i s/wrld/world/ greeting.txt' } }]);
}

/**
 * Lets Codex correct the file.
 * @param folder an empty one
 * @param baseUrl of the service, with `/v1`
 * @returns why it could not be tried; null where it was
 * @throws where the file is not corrected
 */
export async function correctsAFile(folder: string, baseUrl: string): Promise<string | null> {
  if ((await missingProgram('npm')) !== null) return 'there is no npm';
  const home = join(folder, 'home');
  const work = join(folder, 'work');
  await Promise.all([mkdir(home, { recursive: true }), mkdir(work, { recursive: true })]);
  const got = await runProgram('npm', ['install', '--no-audit', '--no-fund', CODEX], { cwd: home });
  if (got.code !== 0) return `npm cannot install it: ${got.stderr.trim().split('\n').at(-1) ?? ''}`;
  await writeFile(join(work, 'greeting.txt'), WRONG);
  await writeFile(join(home, 'config.toml'), settings(baseUrl));
  const ended = await runProgram(
    join(home, 'node_modules/.bin/codex'),
    ['exec', '--skip-git-repo-check', 'Correct the typo.'],
    { cwd: work, env: { CODEX_HOME: home, LONGRUN_KEY: 'any' } },
  );
  const left = await readFile(join(work, 'greeting.txt'), 'utf8');
  if (ended.code !== 0 || left !== RIGHT)
    throw new Error(`Codex ended with ${ended.code}, and left ${JSON.stringify(left)}:\n${ended.stderr}`);
  console.log(ended.stdout.trim());
  return null;
}

/** The sandbox of Codex needs rights that machines of tests seldom have; the command is ours. */
function settings(baseUrl: string): string {
  return `model = "m"
model_provider = "longrun"
approval_policy = "never"
sandbox_mode = "danger-full-access"

[model_providers.longrun]
name = "Longrun"
base_url = "${baseUrl}"
env_key = "LONGRUN_KEY"
wire_api = "responses"
`;
}
