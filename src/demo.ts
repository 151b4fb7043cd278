/** The demo model as a process of its own, for docker-compose, where it has a container of its own. A composition root. */
import { createLog } from './log.ts';
import { startDemoModel } from './model/demo.ts';
import { stopOnSignal } from './shutdown.ts';

/** docker-compose.yml names this port. It listens on every interface, because only the container's network reaches it. */
const PORT = 8090;
const HOST = '0.0.0.0';
/** An answer takes a few seconds at the demo's pace. */
const DEADLINE_MS = 10_000;

const log = createLog({ logLevel: 'info' }, 'demo');
const demo = await startDemoModel({ port: PORT, host: HOST, apiKey: null });
stopOnSignal({ stopTaking: () => {}, stop: () => demo.stop() }, DEADLINE_MS, log);
log.info({ url: demo.url }, 'demo model listening');
