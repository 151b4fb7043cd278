/**
 * The order of the test files: those that take longest first, so that none of them is left over at the end while the other
 * processors have nothing to do. vitest knows how long files take only where it has run them before, and goes by their size
 * otherwise.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longer than ten seconds on two processors, mostly because it waits. A file that is missing here costs seconds. */
const LONGEST = [
  'toolbox/turns',
  'console/objects',
  'console/playground',
  'console/service',
  'console/objects-files',
  'console/playground-content',
  'console/runs',
  'console/run-page',
  'console/glasses',
  'local/start',
  'api/paused-workers',
  'docs/examples',
  'toolbox/hostile-tools',
  'toolbox/pool',
  'clients/chat/python',
  'toolbox/mcp',
  'fuzz/fuzz',
  'clients/davinci',
  'chaos/chaos',
  'topologies/sentinel',
  'chaos/zombie',
  'chaos/response-readers',
  'api/lost-indexing',
  'api/lost-workers',
  'api/steer-protocols',
  'sandbox/escapes',
  'api/deletion',
  'api/file-processes',
  'api/tool-sources',
  'setup/start-refusals',
  'setup/stop',
  'devices/photo-relay',
  'toolbox/folder',
  'api/clocks',
  'api/trial',
  'api/tools',
  'api/metrics',
  'toolbox/mcp-sessions',
  'topologies/cluster',
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId, project }: TestSpecification): number => {
      // As vitest has it: files that share processes come after the others.
      if (project.config.isolate) return -1;
      const found = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return found === -1 ? LONGEST.length : found;
    };
    // oxlint-disable-next-line unicorn/no-array-sort -- vitest's own, which makes a new list
    const usual = await super.sort(files);
    return usual.toSorted((one, two) => rank(one) - rank(two));
  }
}
