/**
 * What is asked of this service as an Assistants API, sentence by sentence. A test that would fail without one of them says so in
 * a comment of its own, directly above it:
 *
 *     Shows A-FRAME-04, A-FRAME-05.
 *
 * between the marks of a doc comment. requirements.test.ts checks that none is left without a test. An id is never used again for
 * something else; a requirement that is given up leaves a gap.
 */
import { CLIENTS } from './clients.ts';
import { FILES } from './files.ts';
import { OBJECTS } from './objects.ts';
import { REQUESTS } from './requests.ts';
import type { Group } from './requirement.ts';
import { RUNS } from './runs.ts';
import { STREAMS } from './streams.ts';

export const ASSISTANTS: readonly Group[] = [
  ...REQUESTS,
  ...OBJECTS,
  ...STREAMS,
  ...CLIENTS,
  ...RUNS,
  ...FILES,
];
